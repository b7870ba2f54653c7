//! Qwen2 and Qwen2.5, dense (arXiv 2407.10671; `Qwen2Config` of `transformers`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("qwen2", "Qwen2", tensors::QWEN, declare, tiny);

fn tiny() -> Value {
    json!([{"tie_word_embeddings": true}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        biases: true,
        ..sizes.rotating(settings, RopePairing::Halves)?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let windows = windows::of_late_layers(settings, sizes.layers)?;
    let layers = sizes.layers(&attention, mlp, windows::set(&windows));
    sizes.decoder(settings, layers)
}
