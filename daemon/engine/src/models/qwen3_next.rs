//! Qwen3-Next: linear attention and many small experts (configuration as in `transformers`, `Qwen3NextConfig`).

use super::family::{Family, TensorName};
use super::qwen_next::{ENDS_AND_NORMS, LINEAR_ATTENTION, Parts};
use super::settings::Settings;
use super::{ModelError, experts, keys, tensors};
use crate::blocks::{Architecture, Experts, SharedExpert};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "qwen3_next",
    gguf: "qwen3next",
    gguf_marker: None,
    display_name: "Qwen3-Next",
    ignored: &["output_router_logits", "router_aux_loss_coef"],
    tensors: &[
        ENDS_AND_NORMS,
        LINEAR_ATTENTION,
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
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let parts = Parts::read(settings, true)?;
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
