//! Attention with grouped key and value heads (arXiv 2305.13245).

use mains_contract::{Activation, BlockFormat, GraphBuilder, GraphError, Op, StateId, StateSpec, ValueId};

use super::mlp::Linear;
use super::{Norm, Rope};

/// Projections, optional norm of each query and key head, rotation, attention, output projection.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a query and a key head.
    pub head_dim: usize,
    /// Width of a value head.
    pub value_dim: usize,
    /// Factor on the products before the softmax.
    pub scale: f32,
    /// Whether the projections of queries, keys and values have biases.
    pub biases: bool,
    /// Whether the output projection has a bias.
    pub output_bias: bool,
    /// Whether queries, keys and values, in that order, are one matrix called `attn_qkv`.
    pub fused: bool,
    /// Norm over queries and keys.
    pub head_norm: Option<HeadNorm>,
    /// Norm over each value head.
    pub value_norm: Option<Norm>,
    /// Rotation of queries and keys.
    pub rope: Option<Rope>,
    /// A token sees this many positions, itself included; all when absent.
    pub window: Option<usize>,
    /// Scores become `cap * tanh(score / cap)` before the softmax.
    pub soft_cap: Option<f32>,
    /// Whether each head has a learned score that takes part in the softmax and has no value.
    pub sinks: bool,
    /// Whether later positions are hidden.
    pub causal: bool,
    /// Whether the projection of queries gives a gate too, after each head: its sigmoid multiplies what the head gives.
    pub gated: bool,
    /// Where keys and values are from.
    pub key_values: KeyValues,
}

/// Where attention has its keys and values from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyValues {
    /// A projection each.
    Projected,
    /// One projection for both; keys are normed and rotated after.
    OneProjection,
    /// What the layer of this number keeps.
    OfLayer(usize),
}

/// Norm over queries and keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadNorm {
    /// The norm.
    pub norm: Norm,
    /// Whether a group is the whole row instead of one head.
    pub whole: bool,
    /// Whether it comes after the rotation.
    pub after_rope: bool,
}

impl HeadNorm {
    /// Of each head, before the rotation.
    #[must_use]
    pub const fn of_heads(norm: Norm) -> Self {
        Self {
            norm,
            whole: false,
            after_rope: false,
        }
    }
}

impl Attention {
    /// Attention over all positions with neither biases, norms nor rotation.
    #[must_use]
    pub fn plain(heads: usize, kv_heads: usize, head_dim: usize) -> Self {
        Self {
            heads,
            kv_heads,
            head_dim,
            value_dim: head_dim,
            scale: Self::usual_scale(head_dim),
            biases: false,
            output_bias: false,
            fused: false,
            head_norm: None,
            value_norm: None,
            rope: None,
            window: None,
            soft_cap: None,
            sinks: false,
            causal: true,
            gated: false,
            key_values: KeyValues::Projected,
        }
    }

    /// One over the root of the head's width.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a head has far fewer than 2^24 numbers, and the operation takes float32"
    )]
    pub fn usual_scale(head_dim: usize) -> f32 {
        (head_dim as f64).sqrt().recip() as f32
    }

    /// Adds the part of the layer called `layer` (such as `blk.0`) on `input`, `model_width` wide, with its cache in
    /// `kv_format`. `states` are those of the layers before, and get this one's.
    pub(super) fn push(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        kv_format: BlockFormat,
        states: &mut Vec<StateId>,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let mut projected = self.project(graph, layer, model_width, input)?;
        let gate = self.split_gate(graph, &mut projected[0])?;
        projected[0] = self.prepare(graph, &format!("{layer}.attn_q_norm"), projected[0])?;
        if let [_, key, value] = &mut projected[..] {
            *key = self.prepare(graph, &format!("{layer}.attn_k_norm"), *key)?;
            if let Some(norm) = self.value_norm {
                *value = norm.push(graph, &format!("{layer}.attn_v_norm"), self.value_dim, *value)?;
            }
        }
        let sinks = self
            .sinks
            .then(|| graph.weight(&format!("{layer}.attn_sinks.weight"), 1, self.heads))
            .transpose()?;
        let state = self.state(graph, layer, kv_format, states)?;
        states.push(state);
        let attention = Op::Attention {
            state,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            value_dim: self.value_dim,
            scale: self.scale,
            window: self.window,
            soft_cap: self.soft_cap,
            sinks,
            causal: self.causal,
            value_from_key: false,
        };
        let mut mixed = graph.push(attention, &projected)?;
        if let Some(gate) = gate {
            mixed = graph.push(Op::Multiply, &[mixed, gate])?;
        }
        let output = Linear {
            biases: self.output_bias,
        };
        let shape = [model_width, self.heads * self.value_dim];
        output.push(graph, &format!("{layer}.attn_output"), shape, mixed)
    }

    /// Leaves queries alone in `query`; gives the gate beside them.
    fn split_gate(
        &self,
        graph: &mut GraphBuilder,
        query: &mut ValueId,
    ) -> Result<Option<ValueId>, GraphError> {
        if !self.gated {
            return Ok(None);
        }
        let part = |start: usize| Op::Slice {
            group: 2 * self.head_dim,
            start,
            width: self.head_dim,
        };
        let gate = graph.push(part(self.head_dim), &[*query])?;
        *query = graph.push(part(0), &[*query])?;
        let activation = Activation::Sigmoid;
        graph.push(Op::Activate { activation }, &[gate]).map(Some)
    }

    /// Where keys and values are kept. Without causality nothing is gone on from: one state serves all layers.
    fn state(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        kv_format: BlockFormat,
        states: &[StateId],
    ) -> Result<StateId, GraphError> {
        if let Some(first) = states.first().filter(|_| !self.causal) {
            return Ok(*first);
        }
        let KeyValues::OfLayer(owner) = self.key_values else {
            return Ok(graph.state(StateSpec::PerToken {
                key_width: self.kv_heads * self.head_dim,
                value_width: self.kv_heads * self.value_dim,
                format: kv_format,
                window: self.window.filter(|_| self.causal),
                shared_with: None,
            }));
        };
        states.get(owner).copied().ok_or_else(|| GraphError::Invalid {
            op: "attention",
            reason: format!("{layer} takes keys of layer {owner}, which is not before it"),
        })
    }

    /// Queries, keys and values; queries alone when another layer keeps the others.
    fn project(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<Vec<ValueId>, GraphError> {
        let widths = [
            self.heads * self.head_dim * if self.gated { 2 } else { 1 },
            self.kv_heads * self.head_dim,
            self.kv_heads * self.value_dim,
        ];
        let linear = Linear { biases: self.biases };
        let mut values = vec![input; 3];
        let separate = match self.key_values {
            KeyValues::Projected => 3,
            KeyValues::OneProjection => 2,
            KeyValues::OfLayer(_) => 1,
        };
        if self.fused {
            let all = widths.iter().sum();
            let name = format!("{layer}.attn_qkv");
            let fused = linear.push(graph, &name, [all, model_width], input)?;
            let mut start = 0;
            for (value, width) in values.iter_mut().zip(widths) {
                let group = all;
                *value = graph.push(Op::Slice { group, start, width }, &[fused])?;
                start += width;
            }
        } else {
            for ((value, width), part) in values.iter_mut().zip(widths).zip(["q", "k", "v"]).take(separate) {
                let name = format!("{layer}.attn_{part}");
                *value = linear.push(graph, &name, [width, model_width], input)?;
            }
        }
        match self.key_values {
            KeyValues::Projected => {}
            KeyValues::OneProjection => values[2] = values[1],
            KeyValues::OfLayer(_) => values.truncate(1),
        }
        Ok(values)
    }

    fn prepare(
        &self,
        graph: &mut GraphBuilder,
        norm_name: &str,
        mut heads: ValueId,
    ) -> Result<ValueId, GraphError> {
        for after_rope in [false, true] {
            if let Some(norm) = self.head_norm.filter(|norm| norm.after_rope == after_rope) {
                let group = if norm.whole {
                    graph.width(heads)
                } else {
                    self.head_dim
                };
                heads = norm.norm.push(graph, norm_name, group, heads)?;
            }
            if let Some(rope) = self.rope.as_ref().filter(|_| !after_rope) {
                heads = rope.push(graph, self.head_dim, heads)?;
            }
        }
        Ok(heads)
    }
}
