//! A whole decoder: embedding, layers with two residual branches, norm, logits.

use mains_contract::{BlockFormat, Graph, GraphBuilder, GraphError, Op, OutputName, ValueId};

use super::{Attention, Mlp, RmsNorm};

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
    /// Norm before each branch and before the logits.
    pub norm: RmsNorm,
    /// The layers, in order.
    pub layers: Vec<DecoderLayer>,
}

/// One layer: `x + attention(norm(x))`, then `x + mlp(norm(x))`.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderLayer {
    /// The first branch.
    pub attention: Attention,
    /// The second branch.
    pub mlp: Mlp,
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
        for (index, layer) in self.layers.iter().enumerate() {
            stream = self.push_layer(&mut graph, index, layer, kv_format, stream)?;
        }
        let wanted = graph.push(Op::SelectRows, &[stream])?;
        let normed = self
            .norm
            .push(&mut graph, "output_norm.weight", self.width, wanted)?;
        let weight = if self.tied {
            table
        } else {
            graph.weight("output.weight", self.vocabulary, self.width)?
        };
        let logits = graph.push(Op::Linear { weight, bias: None }, &[normed])?;
        let logits = push_scale(&mut graph, self.logit_scale, logits)?;
        graph.output(OutputName::Logits, logits);
        Ok(graph.build())
    }

    fn push_layer(
        &self,
        graph: &mut GraphBuilder,
        index: usize,
        layer: &DecoderLayer,
        kv_format: BlockFormat,
        stream: ValueId,
    ) -> Result<ValueId, GraphError> {
        let name = format!("blk.{index}");
        let normed = self
            .norm
            .push(graph, &format!("{name}.attn_norm.weight"), self.width, stream)?;
        let branch = layer
            .attention
            .push(graph, &name, self.width, kv_format, normed)?;
        let branch = push_scale(graph, self.branch_scale, branch)?;
        let stream = graph.push(Op::Add, &[stream, branch])?;
        let normed = self
            .norm
            .push(graph, &format!("{name}.ffn_norm.weight"), self.width, stream)?;
        let branch = layer.mlp.push(graph, &name, self.width, normed)?;
        let branch = push_scale(graph, self.branch_scale, branch)?;
        let stream = graph.push(Op::Add, &[stream, branch])?;
        graph.end_layer();
        Ok(stream)
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
