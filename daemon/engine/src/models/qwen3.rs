//! Qwen3, dense (arXiv 2505.09388; configuration as in `transformers`, `Qwen3Config`).

use mains_contract::{Activation, RopePairing};

use super::family::Family;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, biases, rope, tensors, windows};
use crate::blocks::{Architecture, Attention, HeadNorm};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "qwen3",
    display_name: "Qwen3",
    gguf: "qwen3",
    gguf_marker: None,
    ignored: &[],
    tensors: &[
        tensors::ENDS,
        tensors::NORMS_BEFORE,
        tensors::QUERY_KEY,
        tensors::VALUE_OUTPUT,
        tensors::HEAD_NORMS,
        tensors::GATED,
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        head_norm: Some(HeadNorm::of_heads(sizes.norm)),
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        ..biases::of_attention(settings, sizes.attention())?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let windows = windows::of_late_layers(settings, sizes.layers)?;
    let layers = sizes.layers(&attention, mlp, windows::set(&windows));
    sizes.decoder(settings, layers)
}
