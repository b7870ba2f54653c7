//! Latent attention (arXiv 2405.04434) with absorbed weights: the state keeps one small row a token, from which keys and
//! values of all heads would follow; queries are taken to that row's space instead.

use mains_contract::{BlockFormat, GraphBuilder, GraphError, Op, StateSpec, ValueId};

use super::mlp::Linear;
use super::{Norm, Rope};

/// Projections through latent rows, rotation of a part, attention, output projection.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentAttention {
    /// Query heads.
    pub heads: usize,
    /// Width of the row between two projections of queries; one projection when absent.
    pub query_latent: Option<usize>,
    /// Width of the row that keys and values follow from.
    pub latent: usize,
    /// Numbers of a head that do not rotate.
    pub unrotated: usize,
    /// Numbers of a head that rotate; keys have them once for all heads.
    pub rotated: usize,
    /// Width of a value head.
    pub value_dim: usize,
    /// Factor on the products before the softmax.
    pub scale: f32,
    /// Norm of latent rows.
    pub norm: Norm,
    /// The rotation.
    pub rope: Rope,
    /// Whether the projections to latent rows and the output projection have biases.
    pub biases: bool,
}

impl LatentAttention {
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
        let row_width = self.latent + self.rotated;
        let query = self.push_query(graph, layer, model_width, input)?;
        let row = self.push_row(graph, layer, model_width, input)?;
        let state = graph.state(StateSpec::PerToken {
            key_width: row_width,
            value_width: 0,
            format: kv_format,
            window: None,
            shared_with: None,
        });
        let attention = Op::Attention {
            state,
            heads: self.heads,
            kv_heads: 1,
            head_dim: row_width,
            value_dim: self.latent,
            scale: self.scale,
            window: None,
            soft_cap: None,
            sinks: None,
            causal: true,
            value_from_key: true,
        };
        let mixed = graph.push(attention, &[query, row])?;
        let weight = graph.weight(
            &format!("{layer}.attn_v_b.weight"),
            self.heads * self.value_dim,
            self.latent,
        )?;
        let heads = self.heads;
        let values = graph.push(Op::HeadLinear { weight, heads }, &[mixed])?;
        let biases = self.biases;
        let shape = [model_width, self.heads * self.value_dim];
        Linear { biases }.push(graph, &format!("{layer}.attn_output"), shape, values)
    }

    /// Queries in the space of the rows.
    fn push_query(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let (heads, group) = (self.heads, self.unrotated + self.rotated);
        let linear = Linear { biases: false };
        let query = match self.query_latent {
            None => linear.push(
                graph,
                &format!("{layer}.attn_q"),
                [heads * group, model_width],
                input,
            )?,
            Some(latent) => {
                let biases = self.biases;
                let name = format!("{layer}.attn_q_a");
                let row = Linear { biases }.push(graph, &name, [latent, model_width], input)?;
                let row = self
                    .norm
                    .push(graph, &format!("{layer}.attn_q_a_norm"), latent, row)?;
                linear.push(graph, &format!("{layer}.attn_q_b"), [heads * group, latent], row)?
            }
        };
        let part = |start: usize, width: usize| Op::Slice { group, start, width };
        let unrotated = graph.push(part(0, self.unrotated), &[query])?;
        let rotated = graph.push(part(self.unrotated, self.rotated), &[query])?;
        let weight = graph.weight(
            &format!("{layer}.attn_k_b.weight"),
            heads * self.latent,
            self.unrotated,
        )?;
        let absorbed = graph.push(Op::HeadLinear { weight, heads }, &[unrotated])?;
        let rotated = self.rope.push(graph, self.rotated, rotated)?;
        let concat = Op::Concat {
            groups: heads,
            broadcast: false,
        };
        graph.push(concat, &[absorbed, rotated])
    }

    /// What the state keeps of a token.
    fn push_row(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let group = self.latent + self.rotated;
        let biases = self.biases;
        let name = format!("{layer}.attn_kv_a_mqa");
        let both = Linear { biases }.push(graph, &name, [group, model_width], input)?;
        let part = |start: usize, width: usize| Op::Slice { group, start, width };
        let latent = graph.push(part(0, self.latent), &[both])?;
        let rotated = graph.push(part(self.latent, self.rotated), &[both])?;
        let latent = self
            .norm
            .push(graph, &format!("{layer}.attn_kv_a_norm"), self.latent, latent)?;
        let rotated = self.rope.push(graph, self.rotated, rotated)?;
        let concat = Op::Concat {
            groups: 1,
            broadcast: false,
        };
        graph.push(concat, &[latent, rotated])
    }
}
