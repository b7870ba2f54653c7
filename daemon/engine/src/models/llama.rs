//! Llama 1 to 3 and what has its shape (arXiv 2302.13971, 2407.21783; `LlamaConfig` of `transformers`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("llama", "Llama", tensors::LLAMA, declare, tiny);

fn tiny() -> Value {
    json!([{"attention_bias": true, "mlp_bias": true}, {
        "tie_word_embeddings": true,
        "rope_scaling": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    }])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = sizes.rotating(settings, RopePairing::Halves)?;
    let attention = biases::of_attention(settings, attention)?;
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let mlp = biases::of_gated(settings, mlp)?;
    sizes.decoder(settings, sizes.layers(&attention, mlp, |_, _| {}))
}
