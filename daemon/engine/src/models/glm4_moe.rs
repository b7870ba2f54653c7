//! GLM-4.5 (arXiv 2508.06471; configuration as in `transformers`, `Glm4MoeConfig`).

use mains_contract::{Activation, RopePairing};
use serde_json::json;

use super::family::{Family, TensorName};
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, experts, rope, tensors};
use crate::blocks::{Architecture, Arrangement, Attention, Decoder, HeadNorm};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "glm4_moe",
    gguf: "glm4moe",
    gguf_marker: None,
    display_name: "GLM-4.5",
    ignored: &["num_mtp_layers", "num_nextn_predict_layers"],
    tensors: &[
        tensors::HEAD_NORMS,
        tensors::EXPERTS,
        tensors::SHARED_EXPERTS,
        tensors::VALUE_OUTPUT,
        tensors::ENDS,
        tensors::GATED,
        tensors::QUERY_KEY,
        tensors::NORMS_BEFORE_MOVED,
        &[TensorName::new(
            "blk.{}.exp_probs_b.bias",
            "model.layers.{}.mlp.gate.e_score_correction_bias",
        )],
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("partial_rotary_factor", json!(0.5));
    settings.suppose("first_k_dense_replace", json!(1));
    let sizes = Sizes::read(settings)?;
    let normed = settings.has_part("use_qk_norm", false, "blk.{}.attn_q_norm.weight")?;
    let attention = Attention {
        biases: settings.has_part("attention_bias", false, "blk.{}.attn_q.bias")?,
        head_norm: normed.then_some(HeadNorm::of_heads(sizes.norm)),
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        ..sizes.attention()
    };
    let dense = sizes.gated(settings, Activation::Silu)?;
    let (experts, dense_layers) = experts::by_sigmoid(settings)?;
    let layers = sizes.layers(&attention, experts, |index, layer| {
        if index < dense_layers {
            layer.mlp = dense.into();
        }
    });
    let decoder = Decoder {
        arrangement: Arrangement::PRE_MOVED,
        ..sizes.plain(settings, layers)?
    };
    Ok(decoder.into())
}
