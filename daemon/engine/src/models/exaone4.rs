//! EXAONE 4.0 (arXiv 2507.11407; configuration as in `transformers`, `Exaone4Config`).

use mains_contract::{Activation, RopePairing};

use super::family::Family;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, keys, rope, tensors, windows};
use crate::blocks::{Architecture, Arrangement, Attention, Decoder, HeadNorm};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "exaone4",
    gguf: "exaone4",
    gguf_marker: None,
    display_name: "EXAONE 4.0",
    ignored: &[],
    tensors: &[
        tensors::HEAD_NORMS,
        tensors::NORMS_AFTER,
        tensors::GATED,
        tensors::ENDS,
        tensors::QUERY_KEY,
        tensors::VALUE_OUTPUT,
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        head_norm: Some(HeadNorm::of_heads(sizes.norm)),
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        ..sizes.attention()
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    // Where there is a window, layers without one tell positions apart by what the others left alone.
    let windowed = settings.has(keys::WINDOW);
    let windows = windows::by_period(settings, sizes.layers, 4)?;
    let layers = sizes.layers(&attention, mlp, |index, layer| {
        layer.attention.window = windows[index];
        if windowed && windows[index].is_none() {
            layer.attention.rope = None;
        }
    });
    let decoder = sizes.plain(settings, layers)?;
    Ok(Architecture::from(Decoder {
        arrangement: Arrangement::POST,
        ..decoder
    }))
}
