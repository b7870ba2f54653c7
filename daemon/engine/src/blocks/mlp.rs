//! Feed-forward parts.

use mains_contract::{Activation, GraphBuilder, GraphError, Op, ValueId, WeightId};

use super::Experts;

/// The second branch of a layer.
#[derive(Debug, Clone, PartialEq)]
pub enum Mlp {
    /// One gated part.
    Gated(GatedMlp),
    /// A choice of gated parts.
    Experts(Experts),
    /// One part without a gate.
    Plain(PlainMlp),
}

impl Mlp {
    /// Adds the part of the layer called `layer` (such as `blk.0`) on `input`, `model_width` wide.
    pub(super) fn push(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        match self {
            Self::Gated(mlp) => mlp.push_named(graph, layer, "", model_width, input),
            Self::Experts(experts) => experts.push(graph, layer, model_width, input),
            Self::Plain(mlp) => mlp.push(graph, layer, model_width, input),
        }
    }
}

/// `down(activation(gate(x)) * up(x))` (arXiv 2002.05202).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GatedMlp {
    /// Numbers between the projections.
    pub width: usize,
    /// The gate's function.
    pub activation: Activation,
    /// Whether the projections have biases.
    pub biases: bool,
    /// Whether gate and up, in that order, are one matrix called `ffn_up`.
    pub fused: bool,
}

impl GatedMlp {
    /// Three matrices without biases.
    #[must_use]
    pub const fn new(width: usize, activation: Activation) -> Self {
        Self {
            width,
            activation,
            biases: false,
            fused: false,
        }
    }

    /// The same with so many times the numbers between the projections.
    #[must_use]
    pub const fn widened(self, times: usize) -> Self {
        Self {
            width: self.width * times,
            ..self
        }
    }

    /// Adds the part whose weights' names end in `suffix`.
    pub(super) fn push_named(
        self,
        graph: &mut GraphBuilder,
        layer: &str,
        suffix: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let name = |part: &str| format!("{layer}.ffn_{part}{suffix}");
        let linear = Linear { biases: self.biases };
        let (gate, up) = if self.fused {
            let both = linear.push(graph, &name("up"), [2 * self.width, model_width], input)?;
            let part = |index: usize| Op::Slice {
                group: 2 * self.width,
                start: index * self.width,
                width: self.width,
            };
            (graph.push(part(0), &[both])?, graph.push(part(1), &[both])?)
        } else {
            let shape = [self.width, model_width];
            let gate = linear.push(graph, &name("gate"), shape, input)?;
            (gate, linear.push(graph, &name("up"), shape, input)?)
        };
        let gated = Op::Gated {
            activation: self.activation,
        };
        let hidden = graph.push(gated, &[gate, up])?;
        linear.push(graph, &name("down"), [model_width, self.width], hidden)
    }
}

/// `down(activation(up(x)))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlainMlp {
    /// Numbers between the projections.
    pub width: usize,
    /// The function between them.
    pub activation: Activation,
    /// Whether the projections have biases.
    pub biases: bool,
}

impl PlainMlp {
    fn push(
        self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let linear = Linear { biases: self.biases };
        let shape = [self.width, model_width];
        let up = linear.push(graph, &format!("{layer}.ffn_up"), shape, input)?;
        let activation = self.activation;
        let hidden = graph.push(Op::Activate { activation }, &[up])?;
        let shape = [model_width, self.width];
        linear.push(graph, &format!("{layer}.ffn_down"), shape, hidden)
    }
}

/// A projection by its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Linear {
    /// Whether it has a bias.
    pub(super) biases: bool,
}

impl Linear {
    /// Adds the projection called `name`, `[outputs, inputs]`.
    pub(super) fn push(
        self,
        graph: &mut GraphBuilder,
        name: &str,
        [outputs, inputs]: [usize; 2],
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let weight = graph.weight(&format!("{name}.weight"), outputs, inputs)?;
        let bias: Option<WeightId> = self
            .biases
            .then(|| graph.weight(&format!("{name}.bias"), 1, outputs))
            .transpose()?;
        graph.push(Op::Linear { weight, bias }, &[input])
    }
}

impl From<GatedMlp> for Mlp {
    fn from(mlp: GatedMlp) -> Self {
        Self::Gated(mlp)
    }
}

impl From<PlainMlp> for Mlp {
    fn from(mlp: PlainMlp) -> Self {
        Self::Plain(mlp)
    }
}

impl From<Experts> for Mlp {
    fn from(experts: Experts) -> Self {
        Self::Experts(experts)
    }
}
