//! What may stand where a layer's attention is.

use mains_contract::{BlockFormat, GraphBuilder, GraphError, ValueId};

use super::{GatedDelta, LatentAttention};

/// A first branch that is no attention with keys and values of heads.
#[derive(Debug, Clone, PartialEq)]
pub enum Mixer {
    /// Linear attention.
    GatedDelta(GatedDelta),
    /// Attention whose keys and values are one small row.
    Latent(LatentAttention),
}

impl Mixer {
    /// Adds the part of the layer called `layer` (such as `blk.0`) on `input`, `model_width` wide.
    pub(super) fn push(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        kv_format: BlockFormat,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        match self {
            Self::GatedDelta(mixer) => mixer.push(graph, layer, model_width, input),
            Self::Latent(mixer) => mixer.push(graph, layer, model_width, kv_format, input),
        }
    }
}
