//! GLM-4 (arXiv 2406.12793; configuration as in `transformers`, `Glm4Config`).

use mains_contract::{Activation, RopePairing};
use serde_json::json;

use super::family::{Family, TensorName};
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, rope, tensors};
use crate::blocks::{Architecture, Arrangement, Attention, Decoder, GatedMlp};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "glm4",
    gguf: "glm4",
    gguf_marker: None,
    display_name: "GLM-4",
    ignored: &[],
    tensors: &[
        tensors::NORMS_BEFORE,
        tensors::ENDS,
        tensors::VALUE_OUTPUT,
        tensors::QUERY_KEY,
        tensors::FUSED_GATED,
        &[
            TensorName::new(
                "blk.{}.post_attention_norm.weight",
                "model.layers.{}.post_self_attn_layernorm.weight",
            ),
            TensorName::new(
                "blk.{}.post_ffw_norm.weight",
                "model.layers.{}.post_mlp_layernorm.weight",
            ),
        ],
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("head_dim", json!(128));
    settings.suppose("partial_rotary_factor", json!(0.5));
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        biases: settings.has_part("attention_bias", true, "blk.{}.attn_q.bias")?,
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Neighbours)?),
        ..sizes.attention()
    };
    let mlp = GatedMlp {
        fused: true,
        ..sizes.gated(settings, Activation::Silu)?
    };
    let layers = sizes.layers(&attention, mlp, |_, _| {});
    let decoder = Decoder {
        arrangement: Arrangement::SANDWICH,
        ..sizes.plain(settings, layers)?
    };
    Ok(decoder.into())
}
