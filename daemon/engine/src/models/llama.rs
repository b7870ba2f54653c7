//! Llama 1 to 3 and what has its shape (arXiv 2302.13971, 2407.21783; `LlamaConfig` of `transformers`).

use mains_contract::{Activation, RopePairing};

use super::family::Family;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, biases, rope, tensors};
use crate::blocks::{Architecture, Attention};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "llama",
    display_name: "Llama",
    gguf: "llama",
    gguf_marker: None,
    ignored: &[],
    tensors: tensors::LLAMA,
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let rope = rope::read(settings, sizes.head_dim, RopePairing::Halves)?;
    let attention = Attention {
        rope: Some(rope),
        ..biases::of_attention(settings, sizes.attention())?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let mlp = biases::of_gated(settings, mlp)?;
    let layers = sizes.layers(&attention, mlp, |_, _| {});
    sizes.decoder(settings, layers)
}
