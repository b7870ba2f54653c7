//! Ernie 4.5, dense (`Ernie4_5Config` of `transformers`): Llama with neighbouring numbers that rotate together.

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("ernie4_5", "Ernie 4.5", tensors::QWEN, declare, tiny);

fn tiny() -> Value {
    json!([{"use_bias": true}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("head_dim", json!(128));
    settings.suppose("rope_theta", json!(500_000.0));
    settings.suppose("tie_word_embeddings", json!(true));
    let sizes = Sizes::read(settings)?;
    let biases = settings.has_part("use_bias", false, "blk.{}.attn_q.bias")?;
    let attention = Attention {
        biases,
        output_bias: biases,
        ..sizes.rotating(settings, RopePairing::Neighbours)?
    };
    let mlp = GatedMlp {
        biases,
        ..sizes.gated(settings, Activation::Silu)?
    };
    sizes.decoder(settings, sizes.layers(&attention, mlp, |_, _| {}))
}
