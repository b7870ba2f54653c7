//! Qwen3, dense (arXiv 2505.09388; configuration as in `transformers`, `Qwen3Config`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family =
    Family::new("qwen3", "Qwen3", tensors::QWEN, declare, tiny).adding(&[tensors::HEAD_NORMS]);

fn tiny() -> Value {
    json!([{"tie_word_embeddings": true, "attention_bias": true}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("head_dim", json!(128));
    let sizes = Sizes::read(settings)?;
    let windows = windows::of_late_layers(settings, sizes.layers)?;
    let rotating = sizes.rotating(settings, RopePairing::Halves)?;
    let attention = Attention {
        head_norm: Some(HeadNorm::of_heads(sizes.norm)),
        ..biases::of_attention(settings, rotating)?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let layers = sizes.layers(&attention, mlp, windows::set(&windows));
    sizes.decoder(settings, layers)
}
