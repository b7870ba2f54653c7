//! Qwen3.5 without its eyes (configuration as in `transformers`, `Qwen3_5TextConfig`).

use super::family::{Family, TensorName};
use super::qwen_next::{ENDS_AND_NORMS, LINEAR_ATTENTION, Parts};
use super::settings::Settings;
use super::{ModelError, tensors};
use crate::blocks::Architecture;

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "qwen3_5_text",
    gguf: "qwen35",
    gguf_marker: None,
    display_name: "Qwen3.5",
    ignored: &[],
    tensors: &[
        ENDS_AND_NORMS,
        LINEAR_ATTENTION,
        tensors::GATED,
        tensors::VALUE_OUTPUT,
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
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let parts = Parts::read(settings, false)?;
    let layers = parts.sizes.layers(&parts.attention, parts.dense, |index, layer| {
        parts.set(index, layer)
    });
    parts.sizes.decoder(settings, layers)
}
