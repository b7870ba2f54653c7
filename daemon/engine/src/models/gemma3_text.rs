//! Gemma 3 without its eyes (arXiv 2503.19786; configuration as in `transformers`, `Gemma3TextConfig`).

use super::family::Family;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, gemma, keys, tensors, windows};
use crate::blocks::{Architecture, Attention, HeadNorm};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "gemma3_text",
    gguf: "gemma3",
    gguf_marker: None,
    display_name: "Gemma 3",
    // The published implementation reads the cap of scores and leaves it at that.
    ignored: &["attn_logit_softcapping", "cache_implementation"],
    tensors: &[
        tensors::GATED,
        tensors::GEMMA_NORMS,
        tensors::VALUE_OUTPUT,
        tensors::QUERY_KEY,
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    gemma::suppose(settings);
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        head_norm: Some(HeadNorm::of_heads(sizes.norm)),
        ..gemma::attention(settings, &sizes, 62)?
    };
    let mlp = gemma::mlp(settings, &sizes)?;
    let [sliding, full] = gemma::ropes(settings, &sizes)?;
    settings.require(keys::WINDOW)?;
    let windows = windows::by_period(settings, sizes.layers, 6)?;
    let layers = sizes.layers(&attention, mlp, |index, layer| {
        layer.attention.window = windows[index];
        layer.attention.rope = Some(windows[index].map_or(&full, |_| &sliding).clone());
    });
    Ok(gemma::decoder(settings, &sizes, None, layers)?.into())
}
