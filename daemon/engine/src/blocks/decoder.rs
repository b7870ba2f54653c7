//! A whole decoder: embedding, layers with two residual branches, norm, logits.

use mains_contract::{BlockFormat, Graph, GraphBuilder, GraphError, Op, OutputName, StateId, ValueId};

use super::{Attention, Experts, Mixer, Mlp, Norm, NormKind, PerLayerInput};

/// What a family declares. Everything that a graph needs follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoder {
    /// Width of the residual stream.
    pub width: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Positions that the model was made for.
    pub context: usize,
    /// Factor on the embedding.
    pub embedding_scale: f32,
    /// Factor on each branch before it is added to the stream.
    pub branch_scale: f32,
    /// Factor on the logits.
    pub logit_scale: f32,
    /// Whether the embedding's matrix also makes the logits.
    pub tied: bool,
    /// Logits become `cap * tanh(logit / cap)`.
    pub soft_cap: Option<f32>,
    /// Norm at each branch and before the logits.
    pub norm: Norm,
    /// Where layers have norms, and how their branches join.
    pub arrangement: Arrangement,
    /// What each layer adds that depends on the token's id alone and on the embedding.
    pub per_layer: Option<PerLayerInput>,
    /// Whether what leaves a layer is multiplied by a learned number.
    pub layer_scale: bool,
    /// The layers, in order.
    pub layers: Vec<DecoderLayer>,
}

/// One layer: `x + attention(norm(x))`, then `x + mlp(norm(x))`, or as [`Arrangement`] has it.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderLayer {
    /// The first branch.
    pub attention: Attention,
    /// What stands in the attention's place, if something does.
    pub instead: Option<Mixer>,
    /// The second branch.
    pub mlp: Mlp,
    /// Experts beside the second branch, which take the stream behind norms of their own.
    pub beside: Option<Experts>,
}

/// Names of the norms around the branches; none where there is no norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrangement {
    /// Of what enters the first branch.
    pub before_attention: Option<&'static str>,
    /// Of what leaves it.
    pub after_attention: Option<&'static str>,
    /// Of what enters the second branch.
    pub before_mlp: Option<&'static str>,
    /// Of what leaves it.
    pub after_mlp: Option<&'static str>,
    /// Whether both branches take what enters the first.
    pub parallel: bool,
}

impl Arrangement {
    /// A norm before each branch.
    pub const PRE: Self = Self {
        before_attention: Some("attn_norm"),
        before_mlp: Some("ffn_norm"),
        after_attention: None,
        after_mlp: None,
        parallel: false,
    };
    /// A norm before each branch, with the second one's name that of [`Arrangement::SANDWICH`]'s after the first.
    pub const PRE_MOVED: Self = Self {
        before_mlp: Some("post_attention_norm"),
        ..Self::PRE
    };
    /// A norm after each branch.
    pub const POST: Self = Self {
        before_attention: None,
        before_mlp: None,
        ..Self::SANDWICH
    };
    /// Norms before and after each branch.
    pub const SANDWICH: Self = Self {
        after_attention: Some("post_attention_norm"),
        after_mlp: Some("post_ffw_norm"),
        ..Self::PRE
    };
    /// One norm before both branches, which stand side by side.
    pub const PARALLEL: Self = Self {
        before_mlp: None,
        parallel: true,
        ..Self::PRE
    };
}

impl Decoder {
    /// The graph, with keys and values cached in `kv_format`.
    ///
    /// # Errors
    /// [`GraphError`] when the declaration's sizes contradict each other.
    pub fn graph(&self, kv_format: BlockFormat) -> Result<Graph, GraphError> {
        let mut graph = GraphBuilder::new();
        let table = graph.weight("token_embd.weight", self.vocabulary, self.width)?;
        let mut stream = graph.push(Op::Embed { table }, &[])?;
        stream = push_scale(&mut graph, self.embedding_scale, stream)?;
        let per_layer = match &self.per_layer {
            Some(input) => Some((input, input.push_all(&mut graph, self, stream)?)),
            None => None,
        };
        let mut states = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            stream = self.push_layer(&mut graph, index, layer, kv_format, &mut states, stream)?;
            let name = format!("blk.{index}");
            if let Some((input, all)) = per_layer {
                stream = input.push(&mut graph, self, index, all, stream)?;
            }
            if self.layer_scale {
                let weight = graph.weight(&format!("{name}.layer_output_scale.weight"), 1, 1)?;
                stream = graph.push(Op::MultiplyWeight { weight }, &[stream])?;
            }
            graph.end_layer();
        }
        let wanted = graph.push(Op::SelectRows, &[stream])?;
        let normed = self.norm.push(&mut graph, "output_norm", self.width, wanted)?;
        let weight = if self.tied {
            table
        } else {
            graph.weight("output.weight", self.vocabulary, self.width)?
        };
        let logits = graph.push(Op::Linear { weight, bias: None }, &[normed])?;
        let mut logits = push_scale(&mut graph, self.logit_scale, logits)?;
        if let Some(cap) = self.soft_cap {
            logits = graph.push(Op::SoftCap { cap }, &[logits])?;
        }
        graph.output(OutputName::Logits, logits);
        Ok(graph.build())
    }

    fn push_layer(
        &self,
        graph: &mut GraphBuilder,
        index: usize,
        layer: &DecoderLayer,
        kv_format: BlockFormat,
        states: &mut Vec<StateId>,
        stream: ValueId,
    ) -> Result<ValueId, GraphError> {
        let name = format!("blk.{index}");
        let norm = |graph: &mut GraphBuilder, part: Option<&str>, input: ValueId| match part {
            Some(part) => self
                .norm
                .push(graph, &format!("{name}.{part}"), self.width, input),
            None => Ok(input),
        };
        let join = |graph: &mut GraphBuilder, part: Option<&str>, [stream, branch]: [ValueId; 2]| {
            let branch = norm(graph, part, branch)?;
            let branch = push_scale(graph, self.branch_scale, branch)?;
            graph.push(Op::Add, &[stream, branch])
        };
        let order = self.arrangement;
        let entering = norm(graph, order.before_attention, stream)?;
        let branch = match &layer.instead {
            Some(mixer) => mixer.push(graph, &name, self.width, kv_format, entering)?,
            None => {
                let attention = &layer.attention;
                attention.push(graph, &name, self.width, kv_format, states, entering)?
            }
        };
        let stream = join(graph, order.after_attention, [stream, branch])?;
        let entering = if order.parallel {
            entering
        } else {
            norm(graph, order.before_mlp, stream)?
        };
        let mut branch = layer.mlp.push(graph, &name, self.width, entering)?;
        if let Some(experts) = &layer.beside {
            branch = norm(graph, Some("post_ffw_norm_1"), branch)?;
            let routed = self.push_router_input(graph, &name, stream)?;
            let input = norm(graph, Some("pre_ffw_norm_2"), stream)?;
            let other = experts.push_routed(graph, &name, self.width, [routed, input])?;
            let other = norm(graph, Some("post_ffw_norm_2"), other)?;
            branch = graph.push(Op::Add, &[branch, other])?;
        }
        join(graph, order.after_mlp, [stream, branch])
    }

    /// What the router of experts beside the second branch sees of the stream.
    fn push_router_input(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        stream: ValueId,
    ) -> Result<ValueId, GraphError> {
        let norm = Norm {
            kind: NormKind::RmsWithoutGain,
            ..self.norm
        };
        let normed = norm.push(graph, layer, self.width, stream)?;
        let weight = graph.weight(&format!("{layer}.ffn_gate_inp.scale"), 1, self.width)?;
        let scaled = graph.push(Op::MultiplyWeight { weight }, &[normed])?;
        push_scale(graph, Attention::usual_scale(self.width), scaled)
    }
}

/// `value * factor`, without an operation when that is `value`.
#[expect(clippy::float_cmp, reason = "only the factor 1 itself changes nothing")]
pub(super) fn push_scale(
    graph: &mut GraphBuilder,
    factor: f32,
    value: ValueId,
) -> Result<ValueId, GraphError> {
    if factor == 1.0 {
        return Ok(value);
    }
    graph.push(Op::Scale { factor }, &[value])
}
