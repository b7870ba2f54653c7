//! Qwen2 and Qwen2.5, dense (arXiv 2407.10671; `Qwen2Config` of `transformers`).

use mains_contract::{Activation, RopePairing};

use super::family::Family;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, rope, tensors, windows};
use crate::blocks::{Architecture, Attention};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "qwen2",
    display_name: "Qwen2",
    gguf: "qwen2",
    gguf_marker: None,
    ignored: &[],
    tensors: tensors::QWEN,
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        biases: true,
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        ..sizes.attention()
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let windows = windows::of_late_layers(settings, sizes.layers)?;
    let layers = sizes.layers(&attention, mlp, windows::set(&windows));
    sizes.decoder(settings, layers)
}
