//! Mixtral (arXiv 2401.04088; `MixtralConfig` of `transformers`). GGUF files say `llama`, and have experts.

use mains_contract::RopePairing;
use serde_json::json;

use super::family::{Family, TensorName};
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, experts, keys, rope, tensors, windows};
use crate::blocks::{Architecture, Attention, Experts};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "mixtral",
    display_name: "Mixtral",
    gguf: "llama",
    gguf_marker: Some("expert_count"),
    ignored: &[],
    tensors: &[
        tensors::ENDS,
        tensors::NORMS_BEFORE,
        tensors::NEIGHBOURING_QUERY_KEY,
        tensors::VALUE_OUTPUT,
        &[
            TensorName::new(
                "blk.{}.ffn_gate_inp.weight",
                "model.layers.{}.block_sparse_moe.gate.weight",
            ),
            TensorName::new(
                "blk.{}.ffn_gate_exps.weight",
                "model.layers.{}.block_sparse_moe.experts.{}.w1.weight",
            ),
            TensorName::new(
                "blk.{}.ffn_up_exps.weight",
                "model.layers.{}.block_sparse_moe.experts.{}.w3.weight",
            ),
            TensorName::new(
                "blk.{}.ffn_down_exps.weight",
                "model.layers.{}.block_sparse_moe.experts.{}.w2.weight",
            ),
        ],
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.expect("hidden_act", &json!("silu"))?;
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        window: windows::of_all_layers(settings)?,
        ..sizes.attention()
    };
    let used = settings.integer(keys::EXPERTS_USED)?;
    let experts = Experts::by_softmax(experts::count(settings)?, used, sizes.feed_forward);
    sizes.decoder(settings, sizes.layers(&attention, experts, |_, _| {}))
}
