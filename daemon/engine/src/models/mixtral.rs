//! Mixtral (arXiv 2401.04088; `MixtralConfig` of `transformers`). GGUF files say `llama`, and have experts.

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("mixtral", "Mixtral", TENSORS, declare, tiny)
    .in_gguf("llama")
    .marked("expert_count");

const TENSORS: &[&[TensorName]] = &[
    tensors::ENDS,
    tensors::NORMS_BEFORE,
    tensors::NEIGHBOURING_QUERY_KEY,
    tensors::VALUE,
    tensors::OUTPUT,
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
];

fn tiny() -> Value {
    json!([{"num_local_experts": 4, "num_experts_per_tok": 2}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("rope_theta", json!(1e6));
    let sizes = Sizes::read(settings)?;
    let used = settings.integer(keys::EXPERTS_USED)?;
    let experts = Experts {
        activation: activation::read(settings, "hidden_act", Activation::Silu)?,
        ..Experts::by_softmax(experts::count(settings)?, used, sizes.feed_forward)
    };
    let attention = Attention {
        window: windows::of_all_layers(settings)?,
        ..sizes.rotating(settings, RopePairing::Halves)?
    };
    sizes.decoder(settings, sizes.layers(&attention, experts, |_, _| {}))
}
