//! Qwen3-Next: linear attention and many small experts (configuration as in `transformers`, `Qwen3NextConfig`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("qwen3_next", "Qwen3-Next", TENSORS, declare, tiny)
    .in_gguf("qwen3next")
    .ignoring(&["output_router_logits", "router_aux_loss_coef"]);

const TENSORS: &[&[TensorName]] = &[
    qwen_next::ENDS_AND_NORMS,
    qwen_next::LINEAR_ATTENTION,
    tensors::QUERY_KEY,
    tensors::VALUE_OUTPUT,
    tensors::EXPERTS,
    tensors::SHARED_EXPERT,
    tensors::GATED,
    &[
        TensorName::new(
            "blk.{}.ssm_in.weight",
            "model.layers.{}.linear_attn.in_proj_qkvz.weight",
        ),
        TensorName::new(
            "blk.{}.ssm_ba.weight",
            "model.layers.{}.linear_attn.in_proj_ba.weight",
        ),
    ],
];

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let parts = qwen_next::Parts::read(settings, true)?;
    let sizes = parts.sizes;
    let experts = Experts {
        shared: Some(SharedExpert {
            width: settings.integer(keys::SHARED_EXPERT_WIDTH)?,
            gated: true,
        }),
        ..experts::read(settings, true)?
    };
    let sparse = experts::sparse_layers(settings, sizes.layers)?;
    let layers = sizes.layers(&parts.attention, parts.dense, |index, layer| {
        parts.set(index, layer);
        experts::set(&experts, &sparse)(index, layer);
    });
    sizes.decoder(settings, layers)
}

fn tiny() -> Vec<Value> {
    vec![tiny::mixture(tiny::linear_attention(json!({
        "num_experts": 4,
        "shared_expert_intermediate_size": 20,
    })))]
}
