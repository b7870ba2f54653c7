//! Mistral (arXiv 2310.06825; `MistralConfig` of `transformers`). GGUF files say `llama`; llama.cpp does not honour the
//! window.

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("mistral", "Mistral", tensors::LLAMA, declare, tiny)
    .in_gguf("llama")
    .marked("attention.sliding_window");

fn tiny() -> Value {
    json!([{"sliding_window": 8}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("sliding_window", json!(4096));
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        window: windows::of_all_layers(settings)?,
        ..sizes.rotating(settings, RopePairing::Halves)?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    sizes.decoder(settings, sizes.layers(&attention, mlp, |_, _| {}))
}
