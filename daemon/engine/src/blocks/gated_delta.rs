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
    /// Whether the rows of two projections, `ssm_in` and `ssm_ba`, hold by key head what else four projections do:
    /// query, key, values and gates; beta and decay.
    pub fused: bool,
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
        let projected = if self.fused {
            self.project_fused(graph, layer, model_width, input)?
        } else {
            self.project(graph, layer, model_width, input)?
        };
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
        let mut linear = |name: &str, width: usize| {
            Linear { biases: false }.push(graph, &format!("{layer}.{name}"), [width, model_width], input)
        };
        Ok(Projected {
            mixed: linear("attn_qkv", 2 * keys + values)?,
            gate: linear("attn_gate", values)?,
            beta: linear("ssm_beta", self.heads)?,
            decay: linear("ssm_alpha", self.heads)?,
        })
    }

    fn project_fused(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<Projected, GraphError> {
        let (keys, values) = self.widths();
        let shared = self.heads / self.key_heads.max(1);
        let linear = Linear { biases: false };
        let shape = [2 * (keys + values), model_width];
        let all = linear.push(graph, &format!("{layer}.ssm_in"), shape, input)?;
        let of_head = [
            self.key_dim,
            self.key_dim,
            shared * self.value_dim,
            shared * self.value_dim,
        ];
        let [query, key, value, gate] = slices(graph, all, of_head)?;
        let mut mixed = query;
        for part in [key, value] {
            let concat = Op::Concat {
                groups: 1,
                broadcast: false,
            };
            mixed = graph.push(concat, &[mixed, part])?;
        }
        let shape = [2 * self.heads, model_width];
        let both = linear.push(graph, &format!("{layer}.ssm_ba"), shape, input)?;
        let [beta, decay] = slices(graph, both, [shared, shared])?;
        Ok(Projected {
            mixed,
            gate,
            beta,
            decay,
        })
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
        let decay = self.push_decay(graph, layer, projected.decay)?;
        let activation = Activation::Sigmoid;
        let beta = graph.push(Op::Activate { activation }, &[projected.beta])?;
        let rule = Op::GatedDelta {
            state: per_sequence(graph, self.heads * self.key_dim * self.value_dim),
            heads: self.heads,
            key_heads: self.key_heads,
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
