//! Linear attention by the gated delta rule (arXiv 2412.06464) behind a short convolution.

use mains_contract::{Activation, BlockFormat, GraphBuilder, GraphError, Op, StateSpec, ValueId};

use super::mlp::Linear;
use super::{Attention, Norm};

/// Added to the sum of squares of a query or key head (`transformers`, `l2norm` of Qwen3-Next).
const L2_EPSILON: f32 = 1e-6;

/// Projections, convolution, the rule, a gated norm, output projection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GatedDelta {
    /// Value heads.
    pub heads: usize,
    /// Query and key heads; divides `heads`.
    pub key_heads: usize,
    /// Width of a query and a key head.
    pub key_dim: usize,
    /// Width of a value head.
    pub value_dim: usize,
    /// Positions that the convolution sees, its own included.
    pub kernel: usize,
    /// The function of what the convolution gives.
    pub activation: Activation,
    /// Norm of each value head that the rule gives.
    pub norm: Norm,
    /// How projections hold the heads.
    pub form: GatedDeltaForm,
}

/// How the projections of a [`GatedDelta`] hold the heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatedDeltaForm {
    /// `attn_qkv`, `attn_gate`, `ssm_beta` and `ssm_alpha`, and value heads in the order in which key heads are repeated as
    /// a whole: value head `i` has key head `i % key_heads`.
    Tiled,
    /// `attn_qkv`, `attn_gate` and `ssm_ba`, which holds beta and decay by key head; value heads of one key head are side
    /// by side.
    Grouped,
    /// `ssm_in`, which holds query, key, values and gates by key head, and `ssm_ba`.
    Fused,
}

/// What comes out of the projections.
struct Projected {
    /// Queries, keys and values side by side.
    mixed: ValueId,
    gate: ValueId,
    beta: ValueId,
    decay: ValueId,
}

impl GatedDelta {
    /// Adds the part of the layer called `layer` (such as `blk.0`) on `input`, `model_width` wide.
    pub(super) fn push(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let projected = self.project(graph, layer, model_width, input)?;
        let rule = self.push_rule(graph, layer, &projected)?;
        let normed = self
            .norm
            .push(graph, &format!("{layer}.ssm_norm"), self.value_dim, rule)?;
        let activation = Activation::Silu;
        let gated = graph.push(Op::Gated { activation }, &[projected.gate, normed])?;
        let shape = [model_width, self.heads * self.value_dim];
        Linear { biases: false }.push(graph, &format!("{layer}.ssm_out"), shape, gated)
    }

    /// Widths of all queries and of all values.
    fn widths(&self) -> (usize, usize) {
        (self.key_heads * self.key_dim, self.heads * self.value_dim)
    }

    fn project(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<Projected, GraphError> {
        let (keys, values) = self.widths();
        let linear = |graph: &mut GraphBuilder, name: &str, width: usize| {
            Linear { biases: false }.push(graph, &format!("{layer}.{name}"), [width, model_width], input)
        };
        let [mixed, gate] = if self.form == GatedDeltaForm::Fused {
            let all = linear(graph, "ssm_in", 2 * (keys + values))?;
            self.split(graph, all)?
        } else {
            let mixed = linear(graph, "attn_qkv", 2 * keys + values)?;
            [mixed, linear(graph, "attn_gate", values)?]
        };
        let [beta, decay] = if self.form == GatedDeltaForm::Tiled {
            let beta = linear(graph, "ssm_beta", self.heads)?;
            [beta, linear(graph, "ssm_alpha", self.heads)?]
        } else {
            let both = linear(graph, "ssm_ba", 2 * self.heads)?;
            slices(graph, both, [self.heads_of_key(); 2])?
        };
        Ok(Projected {
            mixed,
            gate,
            beta,
            decay,
        })
    }

    /// Value heads that share a key head.
    fn heads_of_key(&self) -> usize {
        self.heads / self.key_heads.max(1)
    }

    /// Queries, keys and values side by side, and gates, from what has them by key head.
    fn split(&self, graph: &mut GraphBuilder, all: ValueId) -> Result<[ValueId; 2], GraphError> {
        let values = self.heads_of_key() * self.value_dim;
        let [query, key, value, gate] = slices(graph, all, [self.key_dim, self.key_dim, values, values])?;
        let mut mixed = query;
        for part in [key, value] {
            mixed = side_by_side(graph, mixed, part)?;
        }
        Ok([mixed, gate])
    }

    /// As many key heads as value heads, in their order, where the rule cannot tell it by itself.
    fn repeated(&self, graph: &mut GraphBuilder, heads: ValueId) -> Result<ValueId, GraphError> {
        let mut all = heads;
        if self.form == GatedDeltaForm::Tiled {
            for _ in 1..self.heads_of_key() {
                all = side_by_side(graph, all, heads)?;
            }
        }
        Ok(all)
    }

    fn push_rule(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        projected: &Projected,
    ) -> Result<ValueId, GraphError> {
        let (keys, values) = self.widths();
        let width = 2 * keys + values;
        let convolution = Op::ShortConvolution {
            state: per_sequence(graph, self.kernel.saturating_sub(1) * width),
            weight: graph.weight(&format!("{layer}.ssm_conv1d.weight"), width, self.kernel)?,
            activation: Some(self.activation),
        };
        let mixed = graph.push(convolution, &[projected.mixed])?;
        let [query, key, value] = slices(graph, mixed, [keys, keys, values])?;
        let norm = Op::L2Norm {
            epsilon: L2_EPSILON,
            group: self.key_dim,
        };
        let query = graph.push(norm.clone(), &[query])?;
        let key = graph.push(norm, &[key])?;
        let factor = Attention::usual_scale(self.key_dim);
        let query = graph.push(Op::Scale { factor }, &[query])?;
        let (query, key) = (self.repeated(graph, query)?, self.repeated(graph, key)?);
        let key_heads = match self.form {
            GatedDeltaForm::Tiled => self.heads,
            GatedDeltaForm::Grouped | GatedDeltaForm::Fused => self.key_heads,
        };
        let decay = self.push_decay(graph, layer, projected.decay)?;
        let activation = Activation::Sigmoid;
        let beta = graph.push(Op::Activate { activation }, &[projected.beta])?;
        let rule = Op::GatedDelta {
            state: per_sequence(graph, self.heads * self.key_dim * self.value_dim),
            heads: self.heads,
            key_heads,
            key_dim: self.key_dim,
            value_dim: self.value_dim,
        };
        graph.push(rule, &[query, key, value, decay, beta])
    }

    /// The logarithm of what is left of the state: `-a softplus(x + bias)`.
    fn push_decay(&self, graph: &mut GraphBuilder, layer: &str, x: ValueId) -> Result<ValueId, GraphError> {
        let weight = graph.weight(&format!("{layer}.ssm_dt.bias"), 1, self.heads)?;
        let biased = graph.push(Op::AddWeight { weight, row: 0 }, &[x])?;
        let activation = Activation::Softplus;
        let step = graph.push(Op::Activate { activation }, &[biased])?;
        let weight = graph.weight(&format!("{layer}.ssm_a"), 1, self.heads)?;
        graph.push(Op::MultiplyWeight { weight }, &[step])
    }
}

fn per_sequence(graph: &mut GraphBuilder, width: usize) -> mains_contract::StateId {
    graph.state(StateSpec::PerSequence {
        width,
        format: BlockFormat::F32,
    })
}

fn side_by_side(graph: &mut GraphBuilder, left: ValueId, right: ValueId) -> Result<ValueId, GraphError> {
    let concat = Op::Concat {
        groups: 1,
        broadcast: false,
    };
    graph.push(concat, &[left, right])
}

/// The parts, of these widths, of each group of as many numbers as they have together.
fn slices<const PARTS: usize>(
    graph: &mut GraphBuilder,
    value: ValueId,
    widths: [usize; PARTS],
) -> Result<[ValueId; PARTS], GraphError> {
    let group = widths.iter().sum();
    let mut start = 0;
    let mut parts = [value; PARTS];
    for (part, width) in parts.iter_mut().zip(widths) {
        *part = graph.push(Op::Slice { group, start, width }, &[value])?;
        start += width;
    }
    Ok(parts)
}
