//! DeepSeek-V3 (arXiv 2412.19437; configuration as in `transformers`, `DeepseekV3Config`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("deepseek_v3", "DeepSeek-V3", TENSORS, declare, tiny)
    .in_gguf("deepseek2")
    .ignoring(&[
        "aux_loss_alpha",
        "auto_map",
        "ep_size",
        "num_mtp_layers",
        "num_nextn_predict_layers",
        "output_router_logits",
        "pretraining_tp",
        "qk_head_dim",
        "seq_aux",
    ]);

const TENSORS: &[&[TensorName]] = &[
    tensors::ENDS,
    tensors::NORMS_BEFORE,
    tensors::GATED,
    tensors::EXPERTS,
    tensors::SHARED_EXPERTS,
    tensors::OUTPUT,
    LATENT,
];

const LATENT: &[TensorName] = &[
    TensorName::new(
        "blk.{}.exp_probs_b.bias",
        "model.layers.{}.mlp.gate.e_score_correction_bias",
    ),
    TensorName::new("blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight"),
    TensorName::new(
        "blk.{}.attn_q_a.weight",
        "model.layers.{}.self_attn.q_a_proj.weight",
    ),
    TensorName::new("blk.{}.attn_q_a.bias", "model.layers.{}.self_attn.q_a_proj.bias"),
    TensorName::new(
        "blk.{}.attn_q_a_norm.weight",
        "model.layers.{}.self_attn.q_a_layernorm.weight",
    ),
    TensorName::new(
        "blk.{}.attn_q_b.weight",
        "model.layers.{}.self_attn.q_b_proj.weight",
    ),
    TensorName::new(
        "blk.{}.attn_kv_a_mqa.weight",
        "model.layers.{}.self_attn.kv_a_proj_with_mqa.weight",
    ),
    TensorName::new(
        "blk.{}.attn_kv_a_mqa.bias",
        "model.layers.{}.self_attn.kv_a_proj_with_mqa.bias",
    ),
    TensorName::new(
        "blk.{}.attn_kv_a_norm.weight",
        "model.layers.{}.self_attn.kv_a_layernorm.weight",
    ),
    TensorName::new(
        "blk.{}.attn_k_b.weight",
        "model.layers.{}.self_attn.kv_b_proj.weight",
    )
    .with(Transform::LatentKeys),
    TensorName::new(
        "blk.{}.attn_v_b.weight",
        "model.layers.{}.self_attn.kv_b_proj.weight",
    )
    .with(Transform::LatentValues),
];

/// Of latent rows; the published implementation does not read it from the settings.
const LATENT_NORM: Norm = Norm::rms(1e-6);

fn tiny() -> Value {
    let yarn = json!({
        "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32, "mscale": 1.0,
        "mscale_all_dim": 1.0,
    });
    json!([{
        "num_key_value_heads": 4, "head_dim": null, "q_lora_rank": 20, "kv_lora_rank": 16, "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 12, "v_head_dim": 16, "n_routed_experts": 4, "n_shared_experts": 1, "n_group": 2,
        "topk_group": 1, "first_k_dense_replace": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
    }, {
        "num_key_value_heads": 4, "head_dim": null, "q_lora_rank": null, "kv_lora_rank": 16, "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 12, "v_head_dim": 16, "rope_parameters": yarn, "n_routed_experts": 4, "n_shared_experts": 2, "n_group": 1,
        "topk_group": 1, "first_k_dense_replace": 0, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
    }])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("n_group", json!(8));
    settings.suppose("topk_group", json!(4));
    settings.suppose("routed_scaling_factor", json!(2.5));
    settings.suppose("first_k_dense_replace", json!(3));
    settings.expect("scoring_func", &json!("sigmoid"))?;
    settings.expect("topk_method", &json!("noaux_tc"))?;
    settings.expect("moe_layer_freq", &json!(1))?;
    settings.discard(keys::HEAD_DIM);
    let latent = settings.integer(key("attention.kv_lora_rank", "kv_lora_rank"))?;
    let rotated = settings.integer(key(keys::ROTATED.gguf, "qk_rope_head_dim"))?;
    let head = in_gguf("attention.key_length_mla");
    let unrotated = if settings.is_gguf() {
        settings.integer(head)?.saturating_sub(rotated)
    } else {
        settings.integer(key(head.gguf, "qk_nope_head_dim"))?
    };
    let sizes = Sizes::read(settings)?;
    for (key, value) in [
        (head, unrotated + rotated),
        (keys::KV_HEADS, 1),
        (keys::HEAD_DIM, latent + rotated),
        (keys::VALUE_DIM, latent),
    ] {
        settings.record_instead(key, value);
    }
    let interleaved = settings.recorded_flag(("rope.interleave", "rope_interleave"), true)?;
    let pairing = if interleaved {
        RopePairing::Neighbours
    } else {
        RopePairing::Halves
    };
    let growth = growth(settings)?;
    let mixer = LatentAttention {
        heads: sizes.heads,
        query_latent: settings.optional_integer(key("attention.q_lora_rank", "q_lora_rank"))?,
        latent,
        unrotated,
        rotated,
        value_dim: settings.integer(key("attention.value_length_mla", "v_head_dim"))?,
        scale: Attention::usual_scale(unrotated + rotated) * growth * growth,
        norm: LATENT_NORM,
        rope: rope::read(settings, rotated, pairing)?,
        biases: settings.has_part("attention_bias", false, "blk.{}.attn_kv_a_mqa.bias")?,
    };
    let dense = sizes.gated(settings, Activation::Silu)?;
    let (experts, dense_layers) = experts::by_sigmoid(settings)?;
    let layers = sizes.layers(&sizes.attention(), experts, |index, layer| {
        layer.instead = Some(Mixer::Latent(mixer.clone()));
        if index < dense_layers {
            layer.mlp = dense.into();
        }
    });
    sizes.decoder(settings, layers)
}

/// What queries and keys each grow by for a longer context, beside what their rotation makes of it (arXiv 2309.00071).
fn growth(settings: &mut Settings) -> Result<f32, ModelError> {
    if settings.is_gguf() {
        let factor = settings
            .peek(keys::ROPE_FACTOR.gguf)
            .and_then(|factor| factor.as_f64());
        if !settings.has(keys::YARN_GROWTH) {
            return Ok(1.0);
        }
        return Ok(grown(
            settings.number(keys::YARN_GROWTH)?.into(),
            factor.unwrap_or(1.0),
        ));
    }
    let parameters = ["rope_parameters", "rope_scaling"].map(|name| settings.peek(name));
    let parameter = |name: &str| {
        let mut given = parameters.iter().flatten();
        given.find_map(|parameters| parameters.get(name)).cloned()
    };
    let number = |name: &str| parameter(name).as_ref().and_then(Value::as_f64);
    let kind = parameter("rope_type").or(parameter("type"));
    match (kind, number("mscale_all_dim"), number("factor")) {
        (Some(kind), Some(all), Some(factor)) if kind != "default" && all > 0.0 => {
            settings.record_number(keys::YARN_GROWTH, "mscale_all_dim", &json!(0.1 * all))?;
            Ok(grown(0.1 * all, factor))
        }
        _ => Ok(1.0),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the operation takes float32")]
fn grown(per_logarithm: f64, factor: f64) -> f32 {
    if factor <= 1.0 {
        return 1.0;
    }
    (per_logarithm * factor.ln() + 1.0) as f32
}
