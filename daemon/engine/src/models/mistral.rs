//! Mistral (arXiv 2310.06825; `MistralConfig` of `transformers`). GGUF files say `llama`; llama.cpp does not honour the
//! window.

use mains_contract::{Activation, RopePairing};

use super::family::Family;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, rope, tensors, windows};
use crate::blocks::{Architecture, Attention};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "mistral",
    display_name: "Mistral",
    gguf: "llama",
    gguf_marker: Some("attention.sliding_window"),
    ignored: &[],
    tensors: tensors::LLAMA,
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        window: windows::of_all_layers(settings)?,
        ..sizes.attention()
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    sizes.decoder(settings, sizes.layers(&attention, mlp, |_, _| {}))
}
