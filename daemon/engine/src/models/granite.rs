//! Granite 3, dense (`GraniteConfig` of `transformers`): Llama with four factors.

use mains_contract::{Activation, RopePairing};

use super::family::Family;
use super::keys::key;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, biases, rope, tensors};
use crate::blocks::{Architecture, Attention, Decoder};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "granite",
    display_name: "Granite",
    gguf: "granite",
    gguf_marker: None,
    ignored: &[],
    tensors: tensors::LLAMA,
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        scale: settings.number(key("attention.scale", "attention_multiplier"))?,
        ..biases::of_attention(settings, sizes.attention())?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let mlp = biases::of_gated(settings, mlp)?;
    let decoder = Decoder {
        embedding_scale: settings.number(key("embedding_scale", "embedding_multiplier"))?,
        branch_scale: settings.number(key("residual_scale", "residual_multiplier"))?,
        logit_scale: settings.number(key("logit_scale", "logits_scaling"))?.recip(),
        ..sizes.plain(settings, sizes.layers(&attention, mlp, |_, _| {}))?
    };
    Ok(decoder.into())
}
