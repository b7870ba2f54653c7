//! An encoder: a text at once, a row for each of its tokens (arXiv 1810.04805).

use mains_contract::{
    Activation, BlockFormat, Graph, GraphBuilder, GraphError, Op, OutputName, StateId, ValueId,
};

use super::mlp::Linear;
use super::{DecoderLayer, Norm};

/// What a family of encoders declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoder {
    /// Width of the residual stream.
    pub width: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Positions that the model was made for.
    pub context: usize,
    /// Whether each position has a learned row that is added to the embedding.
    pub positions: bool,
    /// Rows of the table of token types, of which the first is added; none when there is no table.
    pub token_types: Option<usize>,
    /// Norm of the embedding and at each branch.
    pub norm: Norm,
    /// Where the norms of branches are.
    pub norms: EncoderNorms,
    /// Whether the row of a chosen token, behind a projection and tanh, stands for the whole text.
    pub pooler: bool,
    /// The layers, in order.
    pub layers: Vec<DecoderLayer>,
}

/// Where an encoder's norms are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncoderNorms {
    /// Of each sum of the stream and a branch.
    OfSums,
    /// Of what enters a branch, but for the very first, and of what leaves the last layer.
    OfInputs,
}

impl Encoder {
    /// The graph; keys and values of one layer at a time are kept in `kv_format`.
    ///
    /// # Errors
    /// [`GraphError`] when the declaration's sizes contradict each other.
    pub fn graph(&self, kv_format: BlockFormat) -> Result<Graph, GraphError> {
        let mut graph = GraphBuilder::new();
        let mut stream = self.embed(&mut graph)?;
        let mut states = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            stream = self.push_layer(&mut graph, index, layer, kv_format, &mut states, stream)?;
            graph.end_layer();
        }
        if self.norms == EncoderNorms::OfInputs {
            stream = self.norm.push(&mut graph, "output_norm", self.width, stream)?;
        }
        graph.output(OutputName::Hidden, stream);
        if self.pooler {
            let chosen = graph.push(Op::SelectRows, &[stream])?;
            let shape = [self.width, self.width];
            let pooled = Linear { biases: true }.push(&mut graph, "cls", shape, chosen)?;
            let activation = Activation::Tanh;
            let pooled = graph.push(Op::Activate { activation }, &[pooled])?;
            graph.output(OutputName::Pooled, pooled);
        }
        Ok(graph.build())
    }

    fn embed(&self, graph: &mut GraphBuilder) -> Result<ValueId, GraphError> {
        let table = graph.weight("token_embd.weight", self.vocabulary, self.width)?;
        let mut stream = graph.push(Op::Embed { table }, &[])?;
        if let Some(types) = self.token_types {
            let weight = graph.weight("token_types.weight", types, self.width)?;
            stream = graph.push(Op::AddWeight { weight, row: 0 }, &[stream])?;
        }
        if self.positions {
            let table = graph.weight("position_embd.weight", self.context, self.width)?;
            let position = graph.push(Op::EmbedPosition { table, offset: 0 }, &[])?;
            stream = graph.push(Op::Add, &[stream, position])?;
        }
        self.norm.push(graph, "token_embd_norm", self.width, stream)
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
        let norm = |graph: &mut GraphBuilder, part: &str, input: ValueId| {
            self.norm
                .push(graph, &format!("{name}.{part}"), self.width, input)
        };
        let of_inputs = self.norms == EncoderNorms::OfInputs;
        let entering = if of_inputs && index > 0 {
            norm(graph, "attn_norm", stream)?
        } else {
            stream
        };
        let attention = &layer.attention;
        let branch = attention.push(graph, &name, self.width, kv_format, states, entering)?;
        let mut stream = graph.push(Op::Add, &[stream, branch])?;
        if !of_inputs {
            stream = norm(graph, "attn_output_norm", stream)?;
        }
        let entering = if of_inputs {
            norm(graph, "ffn_norm", stream)?
        } else {
            stream
        };
        let branch = layer.mlp.push(graph, &name, self.width, entering)?;
        let sum = graph.push(Op::Add, &[stream, branch])?;
        if of_inputs {
            Ok(sum)
        } else {
            norm(graph, "layer_output_norm", sum)
        }
    }
}
