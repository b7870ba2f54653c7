//! Granite 3, dense (`GraniteConfig` of `transformers`): Llama with four factors.

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("granite", "Granite", tensors::LLAMA, declare, tiny);

fn tiny() -> Value {
    json!([{
        "embedding_multiplier": 6.0, "logits_scaling": 4.0, "residual_multiplier": 0.5, "attention_multiplier": 0.1,
    }])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let scale = settings.number(key("attention.scale", "attention_multiplier"))?;
    let rotating = sizes.rotating(settings, RopePairing::Halves)?;
    let attention = Attention {
        scale,
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
