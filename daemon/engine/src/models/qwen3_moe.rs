//! Qwen3 with experts (arXiv 2505.09388; `Qwen3MoeConfig` of `transformers`).

use mains_contract::{Activation, RopePairing};

use super::family::Family;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, biases, experts, rope, tensors, windows};
use crate::blocks::{Architecture, Attention, HeadNorm};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "qwen3_moe",
    display_name: "Qwen3 MoE",
    gguf: "qwen3moe",
    gguf_marker: None,
    // Of Qwen3's windows, which are for all layers here.
    ignored: &["max_window_layers"],
    tensors: &[
        tensors::ENDS,
        tensors::NORMS_BEFORE,
        tensors::QUERY_KEY,
        tensors::VALUE_OUTPUT,
        tensors::HEAD_NORMS,
        tensors::GATED,
        tensors::EXPERTS,
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        head_norm: Some(HeadNorm::of_heads(sizes.norm)),
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        window: windows::of_all_layers(settings)?,
        ..biases::of_attention(settings, sizes.attention())?
    };
    let dense = sizes.gated(settings, Activation::Silu)?;
    let experts = experts::read(settings, true)?;
    let sparse = experts::sparse_layers(settings, sizes.layers)?;
    let layers = sizes.layers(&attention, dense, experts::set(&experts, &sparse));
    sizes.decoder(settings, layers)
}
