//! Qwen3-Next: linear attention and many small experts (configuration as in `transformers`, `Qwen3NextConfig`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("qwen3_next", "Qwen3-Next", TENSORS, declare, tiny)
    .in_gguf("qwen3next")
    .ignoring(&["output_router_logits", "router_aux_loss_coef"]);

const TENSORS: &[&[TensorName]] = &[
    tensors::ENDS_PLUS_ONE,
    qwen_next::NORMS,
    tensors::QUERY_KEY,
    tensors::VALUE,
    tensors::OUTPUT,
    tensors::EXPERTS,
    tensors::SHARED_EXPERT,
    tensors::GATED,
    LINEAR_ATTENTION,
];

const LINEAR_ATTENTION: &[TensorName] = &[
    TensorName::new(
        "blk.{}.attn_qkv.weight",
        "model.layers.{}.linear_attn.in_proj_qkvz.weight",
    )
    .with(Transform::ValueHeads(HeadOrder::MixedOfGroups)),
    TensorName::new(
        "blk.{}.attn_gate.weight",
        "model.layers.{}.linear_attn.in_proj_qkvz.weight",
    )
    .with(Transform::ValueHeads(HeadOrder::GatesOfGroups)),
    // Older GGUF files have it whole. Files of the other form have no such name.
    TensorName::new(OLDER, OLDER),
    TensorName::new(
        "blk.{}.ssm_ba.weight",
        "model.layers.{}.linear_attn.in_proj_ba.weight",
    ),
    TensorName::new(
        "blk.{}.ssm_conv1d.weight",
        "model.layers.{}.linear_attn.conv1d.weight",
    ),
    TensorName::new("blk.{}.ssm_dt.bias", "model.layers.{}.linear_attn.dt_bias"),
    TensorName::new("blk.{}.ssm_a", "model.layers.{}.linear_attn.A_log").with(Transform::NegativeExponential),
    TensorName::new(
        "blk.{}.ssm_out.weight",
        "model.layers.{}.linear_attn.out_proj.weight",
    ),
];

/// The projection of which newer GGUF files have two parts.
const OLDER: &str = "blk.{}.ssm_in.weight";

fn tiny() -> Value {
    let own = json!({
        "num_experts": 4, "num_experts_per_tok": 3, "moe_intermediate_size": 24,
        "shared_expert_intermediate_size": 20,
    });
    json!([tiny::laid(qwen_next::tiny(), own)])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("norm_topk_prob", json!(true));
    let form = match settings.is_gguf() && settings.has_tensor(OLDER) {
        true => GatedDeltaForm::Fused,
        false => GatedDeltaForm::Grouped,
    };
    let parts = qwen_next::Parts::read(settings, form)?;
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
    sizes.arranged(settings, Arrangement::PRE_MOVED, layers)
}
