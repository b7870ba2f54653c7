//! SmolLM3 (`SmolLM3Config` of `transformers`): Llama with some layers that know no positions (arXiv 2305.19466).

use mains_contract::{Activation, RopePairing};

use super::family::Family;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, biases, rope, tensors, windows};
use crate::blocks::{Architecture, Attention};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "smollm3",
    display_name: "SmolLM3",
    gguf: "smollm3",
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
    let rotates = rope::layers(settings, sizes.layers)?;
    let windows = windows::switched(settings, sizes.layers, |layer| !rotates[layer])?;
    let layers = sizes.layers(&attention, mlp, |index, layer| {
        windows::set(&windows)(index, layer);
        layer.attention.rope.take_if(|_| !rotates[index]);
    });
    sizes.decoder(settings, layers)
}
