//! OLMo 2 (arXiv 2501.00656; configuration as in `transformers`, `Olmo2Config`).

use mains_contract::{Activation, RopePairing};

use super::family::Family;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, biases, rope, tensors};
use crate::blocks::{Architecture, Arrangement, Attention, Decoder, HeadNorm};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "olmo2",
    gguf: "olmo2",
    gguf_marker: None,
    display_name: "OLMo 2",
    ignored: &[],
    tensors: &[
        tensors::NORMS_AFTER,
        tensors::ENDS,
        tensors::QUERY_KEY,
        tensors::VALUE_OUTPUT,
        tensors::HEAD_NORMS,
        tensors::GATED,
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let whole = HeadNorm {
        whole: true,
        ..HeadNorm::of_heads(sizes.norm)
    };
    let attention = Attention {
        head_norm: Some(whole),
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        ..biases::of_attention(settings, sizes.attention())?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let layers = sizes.layers(&attention, mlp, |_, _| {});
    let decoder = Decoder {
        arrangement: Arrangement::POST,
        ..sizes.plain(settings, layers)?
    };
    Ok(decoder.into())
}
