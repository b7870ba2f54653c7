//! GLM-4.5 (arXiv 2508.06471; configuration as in `transformers`, `Glm4MoeConfig`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("glm4_moe", "GLM-4.5", TENSORS, declare, tiny)
    .in_gguf("glm4moe")
    .ignoring(&["num_mtp_layers", "num_nextn_predict_layers"]);

const TENSORS: &[&[TensorName]] = &[
    tensors::HEAD_NORMS,
    tensors::EXPERTS,
    tensors::SHARED_EXPERTS,
    tensors::VALUE,
    tensors::OUTPUT,
    tensors::ENDS,
    tensors::GATED,
    tensors::QUERY_KEY,
    tensors::NORMS_BEFORE_MOVED,
    &[TensorName::new(
        "blk.{}.exp_probs_b.bias",
        "model.layers.{}.mlp.gate.e_score_correction_bias",
    )],
];

fn tiny() -> Value {
    json!([{
        "n_routed_experts": 4, "n_shared_experts": 1, "n_group": 2, "topk_group": 1, "first_k_dense_replace": 1,
        "use_qk_norm": true, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
    }])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("partial_rotary_factor", json!(0.5));
    settings.suppose("first_k_dense_replace", json!(1));
    let sizes = Sizes::read(settings)?;
    let normed = settings.has_part("use_qk_norm", false, "blk.{}.attn_q_norm.weight")?;
    let attention = Attention {
        biases: settings.has_part("attention_bias", false, "blk.{}.attn_q.bias")?,
        head_norm: normed.then_some(HeadNorm::of_heads(sizes.norm)),
        ..sizes.rotating(settings, RopePairing::Halves)?
    };
    let dense = sizes.gated(settings, Activation::Silu)?;
    let (experts, dense_layers) = experts::by_sigmoid(settings)?;
    let layers = sizes.layers(&attention, experts, |index, layer| {
        if index < dense_layers {
            layer.mlp = dense.into();
        }
    });
    sizes.arranged(settings, Arrangement::PRE_MOVED, layers)
}
