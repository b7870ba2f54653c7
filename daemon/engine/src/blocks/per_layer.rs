//! Inputs that each layer gets beside the residual stream: rows of a second embedding and a projection of the first
//! (gemma3n and gemma4 of `transformers`).

use mains_contract::{Activation, GraphBuilder, GraphError, Op, ValueId};

use super::decoder::push_scale;
use super::{Decoder, Norm};

/// Sizes and functions of these inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerLayerInput {
    /// Numbers of one layer's input.
    pub width: usize,
    /// Tokens that the second embedding knows.
    pub vocabulary: usize,
    /// The function of the gate by which a layer takes its input.
    pub activation: Activation,
    /// Norm of the projection, over each layer's part.
    pub norm: Norm,
}

impl PerLayerInput {
    /// The inputs of all layers of `decoder`, side by side, from its embedded tokens.
    pub(super) fn push_all(
        &self,
        graph: &mut GraphBuilder,
        decoder: &Decoder,
        embedded: ValueId,
    ) -> Result<ValueId, GraphError> {
        let all = decoder.layers.len() * self.width;
        let table = graph.weight("per_layer_token_embd.weight", self.vocabulary, all)?;
        let rows = graph.push(Op::Embed { table }, &[])?;
        let rows = push_scale(graph, root(self.width), rows)?;
        let weight = graph.weight("per_layer_model_proj.weight", all, decoder.width)?;
        let projected = graph.push(Op::Linear { weight, bias: None }, &[embedded])?;
        let projected = push_scale(graph, root(decoder.width).recip(), projected)?;
        let projected = self
            .norm
            .push(graph, "per_layer_proj_norm", self.width, projected)?;
        let sum = graph.push(Op::Add, &[projected, rows])?;
        push_scale(graph, std::f32::consts::FRAC_1_SQRT_2, sum)
    }

    /// The stream after layer `index` has taken its part of `all`.
    pub(super) fn push(
        &self,
        graph: &mut GraphBuilder,
        decoder: &Decoder,
        index: usize,
        all: ValueId,
        stream: ValueId,
    ) -> Result<ValueId, GraphError> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let input = Op::Slice {
            group: decoder.layers.len() * self.width,
            start: index * self.width,
            width: self.width,
        };
        let input = graph.push(input, &[all])?;
        let weight = graph.weight(&name("inp_gate.weight"), self.width, decoder.width)?;
        let gate = graph.push(Op::Linear { weight, bias: None }, &[stream])?;
        let activation = self.activation;
        let gated = graph.push(Op::Gated { activation }, &[gate, input])?;
        let weight = graph.weight(&name("proj.weight"), decoder.width, self.width)?;
        let projected = graph.push(Op::Linear { weight, bias: None }, &[gated])?;
        let branch = decoder
            .norm
            .push(graph, &name("post_norm"), decoder.width, projected)?;
        graph.push(Op::Add, &[stream, branch])
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "widths are far below 2^52, and the operation takes float32"
)]
fn root(width: usize) -> f32 {
    (width as f64).sqrt() as f32
}
