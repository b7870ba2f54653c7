//! The gated feed-forward part (arXiv 2002.05202).

use mains_contract::{Activation, GraphBuilder, GraphError, Op, ValueId};

/// `down(activation(gate(x)) * up(x))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GatedMlp {
    /// Numbers between the projections.
    pub width: usize,
    /// The gate's function.
    pub activation: Activation,
}

impl GatedMlp {
    /// Adds the part of the layer called `layer` (such as `blk.0`) on `input`, `model_width` wide.
    pub(super) fn push(
        self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let gate = graph.weight(&format!("{layer}.ffn_gate.weight"), self.width, model_width)?;
        let up = graph.weight(&format!("{layer}.ffn_up.weight"), self.width, model_width)?;
        let down = graph.weight(&format!("{layer}.ffn_down.weight"), model_width, self.width)?;
        let gate = graph.push(linear(gate), &[input])?;
        let up = graph.push(linear(up), &[input])?;
        let gated = Op::Gated {
            activation: self.activation,
        };
        let hidden = graph.push(gated, &[gate, up])?;
        graph.push(linear(down), &[hidden])
    }
}

fn linear(weight: mains_contract::WeightId) -> Op {
    Op::Linear { weight, bias: None }
}
