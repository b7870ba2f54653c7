//! GLM-4 (arXiv 2406.12793; configuration as in `transformers`, `Glm4Config`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("glm4", "GLM-4", TENSORS, declare, tiny);

const TENSORS: &[&[TensorName]] = &[
    tensors::NORMS_BEFORE,
    tensors::ENDS,
    tensors::VALUE,
    tensors::OUTPUT,
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
];

fn tiny() -> Value {
    json!([{"attention_bias": true, "partial_rotary_factor": 0.5}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("head_dim", json!(128));
    settings.suppose("partial_rotary_factor", json!(0.5));
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        biases: settings.has_part("attention_bias", true, "blk.{}.attn_q.bias")?,
        ..sizes.rotating(settings, RopePairing::Neighbours)?
    };
    let mlp = GatedMlp {
        fused: true,
        ..sizes.gated(settings, Activation::Silu)?
    };
    let layers = sizes.layers(&attention, mlp, |_, _| {});
    sizes.arranged(settings, Arrangement::SANDWICH, layers)
}
