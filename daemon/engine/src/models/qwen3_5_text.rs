//! Qwen3.5 without its eyes (configuration as in `transformers`, `Qwen3_5TextConfig`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family =
    Family::new("qwen3_5_text", "Qwen3.5", TENSORS, declare, tiny).in_gguf("qwen35");

const TENSORS: &[&[TensorName]] = &[
    tensors::ENDS_PLUS_ONE,
    qwen_next::NORMS,
    tensors::GATED,
    tensors::VALUE,
    tensors::OUTPUT,
    tensors::QUERY_KEY,
    LINEAR_ATTENTION,
];

const LINEAR_ATTENTION: &[TensorName] = &[
    TensorName::new(
        "blk.{}.attn_gate.weight",
        "model.layers.{}.linear_attn.in_proj_z.weight",
    )
    .with(Transform::ValueHeads(HeadOrder::Values)),
    TensorName::new(
        "blk.{}.attn_qkv.weight",
        "model.layers.{}.linear_attn.in_proj_qkv.weight",
    )
    .with(Transform::ValueHeads(HeadOrder::Mixed)),
    TensorName::new(
        "blk.{}.ssm_alpha.weight",
        "model.layers.{}.linear_attn.in_proj_a.weight",
    )
    .with(Transform::ValueHeads(HeadOrder::Numbers)),
    TensorName::new(
        "blk.{}.ssm_beta.weight",
        "model.layers.{}.linear_attn.in_proj_b.weight",
    )
    .with(Transform::ValueHeads(HeadOrder::Numbers)),
    TensorName::new(
        "blk.{}.ssm_conv1d.weight",
        "model.layers.{}.linear_attn.conv1d.weight",
    )
    .with(Transform::ValueHeads(HeadOrder::Mixed)),
    TensorName::new("blk.{}.ssm_dt.bias", "model.layers.{}.linear_attn.dt_bias")
        .with(Transform::ValueHeads(HeadOrder::Numbers)),
    TensorName::new("blk.{}.ssm_a", "model.layers.{}.linear_attn.A_log")
        .with(Transform::ValueHeads(HeadOrder::Decays)),
    TensorName::new(
        "blk.{}.ssm_out.weight",
        "model.layers.{}.linear_attn.out_proj.weight",
    )
    .with(Transform::ValueHeads(HeadOrder::Columns)),
];

/// Pairs of a head that turn by each axis of a picture's positions. Texts have one axis, but readers of GGUF ask for them.
const AXES: &str = "rope.dimension_sections";
/// Those of published models, and a last one that is not used.
const USUAL_AXES: [u32; 4] = [11, 11, 10, 0];

fn tiny() -> Value {
    json!([qwen_next::tiny()])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.take(AXES);
    let parts = qwen_next::Parts::read(settings, GatedDeltaForm::Tiled)?;
    settings.record_integers(AXES, USUAL_AXES.to_vec());
    let layers = parts.sizes.layers(&parts.attention, parts.dense, |index, layer| {
        parts.set(index, layer)
    });
    parts.sizes.arranged(settings, Arrangement::PRE_MOVED, layers)
}
