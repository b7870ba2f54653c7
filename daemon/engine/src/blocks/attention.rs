//! Attention with grouped key and value heads (arXiv 2305.13245).

use mains_contract::{BlockFormat, GraphBuilder, GraphError, Op, StateSpec, ValueId};

use super::{RmsNorm, Rope};

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
    /// Norm over each query and key head, before the rotation.
    pub head_norm: Option<RmsNorm>,
    /// Rotation of queries and keys.
    pub rope: Option<Rope>,
    /// A token sees this many positions, itself included; all when absent.
    pub window: Option<usize>,
}

impl Attention {
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
    /// `kv_format`.
    pub(super) fn push(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        kv_format: BlockFormat,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let project = |graph: &mut GraphBuilder, name: &str, width: usize| {
            let weight = graph.weight(&format!("{layer}.{name}.weight"), width, model_width)?;
            graph.push(Op::Linear { weight, bias: None }, &[input])
        };
        let query = project(graph, "attn_q", self.heads * self.head_dim)?;
        let key = project(graph, "attn_k", self.kv_heads * self.head_dim)?;
        let value = project(graph, "attn_v", self.kv_heads * self.value_dim)?;
        let query = self.prepare_heads(graph, &format!("{layer}.attn_q_norm.weight"), query)?;
        let key = self.prepare_heads(graph, &format!("{layer}.attn_k_norm.weight"), key)?;
        let state = graph.state(StateSpec::PerToken {
            key_width: self.kv_heads * self.head_dim,
            value_width: self.kv_heads * self.value_dim,
            format: kv_format,
            window: self.window,
            shared_with: None,
        });
        let attention = Op::Attention {
            state,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            value_dim: self.value_dim,
            scale: self.scale,
            window: self.window,
            soft_cap: None,
            sinks: None,
            causal: true,
            value_from_key: false,
        };
        let mixed = graph.push(attention, &[query, key, value])?;
        let weight = graph.weight(
            &format!("{layer}.attn_output.weight"),
            model_width,
            self.heads * self.value_dim,
        )?;
        graph.push(Op::Linear { weight, bias: None }, &[mixed])
    }

    fn prepare_heads(
        &self,
        graph: &mut GraphBuilder,
        norm_weight: &str,
        heads: ValueId,
    ) -> Result<ValueId, GraphError> {
        let normed = match self.head_norm {
            Some(norm) => norm.push(graph, norm_weight, self.head_dim, heads)?,
            None => heads,
        };
        match &self.rope {
            Some(rope) => rope.push(graph, self.head_dim, normed),
            None => Ok(normed),
        }
    }
}
