//! Qwen3.5 without its eyes (configuration as in `transformers`, `Qwen3_5TextConfig`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family =
    Family::new("qwen3_5_text", "Qwen3.5", TENSORS, declare, tiny).in_gguf("qwen35");

const TENSORS: &[&[TensorName]] = &[
    tensors::ENDS_PLUS_ONE,
    qwen_next::NORM,
    qwen_next::LINEAR_ATTENTION,
    tensors::GATED,
    tensors::VALUE,
    tensors::OUTPUT,
    tensors::QUERY_KEY,
    &[
        TensorName::new(
            "blk.{}.attn_qkv.weight",
            "model.layers.{}.linear_attn.in_proj_qkv.weight",
        ),
        TensorName::new(
            "blk.{}.attn_gate.weight",
            "model.layers.{}.linear_attn.in_proj_z.weight",
        ),
        TensorName::new(
            "blk.{}.ssm_alpha.weight",
            "model.layers.{}.linear_attn.in_proj_a.weight",
        ),
        TensorName::new(
            "blk.{}.ssm_beta.weight",
            "model.layers.{}.linear_attn.in_proj_b.weight",
        ),
    ],
];

fn tiny() -> Value {
    json!([qwen_next::tiny()])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let parts = qwen_next::Parts::read(settings, false)?;
    let layers = parts.sizes.layers(&parts.attention, parts.dense, |index, layer| {
        parts.set(index, layer)
    });
    parts.sizes.decoder(settings, layers)
}
