//! Llama 1 to 3 and what has its shape (arXiv 2302.13971, 2407.21783; `LlamaConfig` of `transformers`).

use super::declaring::{Activation, Architecture, Family, ModelError, RopePairing, Settings, Sizes};
use super::{biases, tensors};

/// The declaration.
pub(super) const FAMILY: Family = Family::new("llama", "Llama", tensors::LLAMA, declare);

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = sizes.rotating(settings, RopePairing::Halves)?;
    let attention = biases::of_attention(settings, attention)?;
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let mlp = biases::of_gated(settings, mlp)?;
    sizes.decoder(settings, sizes.layers(&attention, mlp, |_, _| {}))
}
