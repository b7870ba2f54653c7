//! Qwen2 with experts and one that all tokens use (arXiv 2407.10671; `Qwen2MoeConfig` of `transformers`).

use mains_contract::{Activation, RopePairing};

use super::family::Family;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, experts, keys, rope, tensors, windows};
use crate::blocks::{Architecture, Attention, Experts, SharedExpert};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "qwen2_moe",
    display_name: "Qwen2 MoE",
    gguf: "qwen2moe",
    gguf_marker: None,
    ignored: &[],
    tensors: &[
        tensors::ENDS,
        tensors::NORMS_BEFORE,
        tensors::QUERY_KEY,
        tensors::VALUE_OUTPUT,
        tensors::GATED,
        tensors::EXPERTS,
        tensors::SHARED_EXPERT,
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        biases: settings.has_part("qkv_bias", true, "blk.{}.attn_q.bias")?,
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        ..sizes.attention()
    };
    let dense = sizes.gated(settings, Activation::Silu)?;
    let shared = SharedExpert {
        width: settings.integer(keys::SHARED_EXPERT_WIDTH)?,
        gated: true,
    };
    let experts = Experts {
        shared: Some(shared),
        ..experts::read(settings, false)?
    };
    let sparse = experts::sparse_layers(settings, sizes.layers)?;
    let windows = windows::of_every_other_layer(settings, sizes.layers)?;
    let layers = sizes.layers(&attention, dense, |index, layer| {
        windows::set(&windows)(index, layer);
        experts::set(&experts, &sparse)(index, layer);
    });
    sizes.decoder(settings, layers)
}
