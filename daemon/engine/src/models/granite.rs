//! Granite 3, dense (`GraniteConfig` of `transformers`): Llama with four factors.

use super::declaring::{
    Activation, Architecture, Attention, Decoder, Family, ModelError, RopePairing, Settings, Sizes,
};
use super::keys::key;
use super::{biases, tensors};

/// The declaration.
pub(super) const FAMILY: Family = Family::new("granite", "Granite", tensors::LLAMA, declare);

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let rotating = sizes.rotating(settings, RopePairing::Halves)?;
    let attention = Attention {
        scale: settings.number(key("attention.scale", "attention_multiplier"))?,
        ..biases::of_attention(settings, rotating)?
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
