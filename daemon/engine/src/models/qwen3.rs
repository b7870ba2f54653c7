//! Qwen3, dense (arXiv 2505.09388; configuration as in `transformers`, `Qwen3Config`).

use mains_contract::{Activation, RopePairing};
use serde_json::json;

use super::family::{Family, TensorName};
use super::settings::Settings;
use super::{ModelError, keys};
use crate::blocks::{Architecture, Attention, Decoder, DecoderLayer, GatedMlp, RmsNorm, Rope};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "qwen3",
    display_name: "Qwen3",
    // Without effect while `use_sliding_window` is false, which is required below.
    ignored: &["max_window_layers", "sliding_window"],
    tensors: &[
        TensorName::new("token_embd.weight", "model.embed_tokens.weight"),
        TensorName::new(
            "blk.{}.attn_norm.weight",
            "model.layers.{}.input_layernorm.weight",
        ),
        TensorName::new("blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight"),
        TensorName::new("blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight"),
        TensorName::new("blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight"),
        TensorName::new(
            "blk.{}.attn_q_norm.weight",
            "model.layers.{}.self_attn.q_norm.weight",
        ),
        TensorName::new(
            "blk.{}.attn_k_norm.weight",
            "model.layers.{}.self_attn.k_norm.weight",
        ),
        TensorName::new(
            "blk.{}.attn_output.weight",
            "model.layers.{}.self_attn.o_proj.weight",
        ),
        TensorName::new(
            "blk.{}.ffn_norm.weight",
            "model.layers.{}.post_attention_layernorm.weight",
        ),
        TensorName::new("blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight"),
        TensorName::new("blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight"),
        TensorName::new("blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight"),
        TensorName::new("output_norm.weight", "model.norm.weight"),
        TensorName::new("output.weight", "lm_head.weight"),
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.expect("hidden_act", &json!("silu"))?;
    settings.expect("attention_bias", &json!(false))?;
    settings.expect("use_sliding_window", &json!(false))?;
    settings.expect_each("layer_types", &json!("full_attention"))?;
    let layers = settings.layers()?;
    let context = settings.integer(keys::CONTEXT)?;
    let width = settings.integer(keys::WIDTH)?;
    let feed_forward = settings.integer(keys::FEED_FORWARD)?;
    let heads = settings.integer(keys::HEADS)?;
    let kv_heads = settings.integer(keys::KV_HEADS)?;
    let rope_base = settings.unscaled_rope_base()?;
    let norm = RmsNorm {
        epsilon: settings.number(keys::RMS_EPSILON)?,
    };
    let head_dim = settings.integer(keys::HEAD_DIM)?;
    let value_dim = settings.integer_or(keys::VALUE_DIM, head_dim)?;
    settings.expect_in_gguf("rope.dimension_count", &json!(head_dim))?;
    let layer = DecoderLayer {
        attention: Attention {
            heads,
            kv_heads,
            head_dim,
            value_dim,
            scale: Attention::usual_scale(head_dim),
            head_norm: Some(norm),
            rope: Some(Rope::unscaled(rope_base, head_dim, RopePairing::Halves)),
            window: None,
        },
        mlp: GatedMlp {
            width: feed_forward,
            activation: Activation::Silu,
        },
    };
    Ok(Decoder {
        width,
        vocabulary: settings.vocabulary()?,
        context,
        tied: settings.tied()?,
        norm,
        layers: vec![layer; layers],
    }
    .into())
}
