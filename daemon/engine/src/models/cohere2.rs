//! Command R7B and Command A (arXiv 2504.00698; configuration as in `transformers`, `Cohere2Config`).

use mains_contract::{Activation, RopePairing};
use serde_json::json;

use super::family::Family;
use super::keys::key;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, biases, keys, rope, tensors, windows};
use crate::blocks::{Architecture, Arrangement, Attention, Decoder, NormKind};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "cohere2",
    gguf: "cohere2",
    gguf_marker: None,
    display_name: "Command R7B, Command A",
    // Older names of what the types of layers say.
    ignored: &[
        "cache_implementation",
        "layer_switch",
        "order_of_interleaved_layers",
    ],
    tensors: &[
        tensors::QUERY_KEY,
        tensors::VALUE_OUTPUT,
        tensors::GATED,
        tensors::ENDS,
        tensors::NORMS_BEFORE,
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.expect("use_qk_norm", &json!(false))?;
    settings.suppose("tie_word_embeddings", json!(true));
    settings.suppose("sliding_window", json!(4096));
    settings.suppose("logit_scale", json!(0.0625));
    let sizes = Sizes::read_with(settings, keys::LAYER_EPSILON, NormKind::Layer)?;
    let attention = Attention {
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Neighbours)?),
        ..biases::of_attention(settings, sizes.attention())?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let windows = windows::by_period(settings, sizes.layers, 4)?;
    let layers = sizes.layers(&attention, mlp, |index, layer| {
        layer.attention.window = windows[index];
        if windows[index].is_none() {
            layer.attention.rope = None;
        }
    });
    let decoder = Decoder {
        arrangement: Arrangement::PARALLEL,
        logit_scale: settings.number(key("logit_scale", "logit_scale"))?,
        ..sizes.plain(settings, layers)?
    };
    Ok(decoder.into())
}
