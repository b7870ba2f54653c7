//! gpt-oss (arXiv 2508.10925; configuration as in `transformers`, `GptOssConfig`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("gpt_oss", "gpt-oss", TENSORS, declare, tiny)
    .in_gguf("gpt-oss")
    .ignoring(&["experts_per_token", "hidden_act", "initial_context_length"]);

const TENSORS: &[&[TensorName]] = &[
    tensors::VALUE,
    tensors::OUTPUT,
    tensors::QUERY_KEY,
    tensors::NORMS_BEFORE_MOVED,
    tensors::ENDS,
    &[
        TensorName::new("blk.{}.attn_sinks.weight", "model.layers.{}.self_attn.sinks"),
        TensorName::new("blk.{}.ffn_gate_inp.weight", "model.layers.{}.mlp.router.weight"),
        TensorName::new("blk.{}.ffn_gate_inp.bias", "model.layers.{}.mlp.router.bias"),
        TensorName::new(
            "blk.{}.ffn_gate_exps.weight",
            "model.layers.{}.mlp.experts.gate_up_proj",
        )
        .with(Transform::EvenTransposed),
        TensorName::new(
            "blk.{}.ffn_up_exps.weight",
            "model.layers.{}.mlp.experts.gate_up_proj",
        )
        .with(Transform::OddTransposed),
        TensorName::new(
            "blk.{}.ffn_down_exps.weight",
            "model.layers.{}.mlp.experts.down_proj",
        )
        .with(Transform::Transposed),
        TensorName::new(
            "blk.{}.ffn_gate_exps.bias",
            "model.layers.{}.mlp.experts.gate_up_proj_bias",
        )
        .with(Transform::Even),
        TensorName::new(
            "blk.{}.ffn_up_exps.bias",
            "model.layers.{}.mlp.experts.gate_up_proj_bias",
        )
        .with(Transform::Odd),
        TensorName::new(
            "blk.{}.ffn_down_exps.bias",
            "model.layers.{}.mlp.experts.down_proj_bias",
        ),
    ],
];

fn tiny() -> Value {
    json!([{"sliding_window": 8, "num_local_experts": 4, "num_experts_per_tok": 2}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("rope_theta", json!(150_000.0));
    settings.suppose("head_dim", json!(64));
    settings.suppose("sliding_window", json!(128));
    // The published models are so, and files do not always say.
    if settings.peek("rope.scaling.type") == Some(json!("yarn")) {
        settings.suppose_in_gguf("rope.scaling.yarn_truncate", json!(false));
    }
    let sizes = Sizes::read(settings)?;
    let biases = settings.has_part("attention_bias", true, "blk.{}.attn_q.bias")?;
    let attention = Attention {
        biases,
        output_bias: biases,
        sinks: true,
        ..sizes.rotating(settings, RopePairing::Halves)?
    };
    let count = settings.integer(keys::LOCAL_EXPERTS)?;
    let used = settings.integer(keys::EXPERTS_USED)?;
    let width = settings.integer_or(in_gguf("expert_feed_forward_length"), sizes.feed_forward)?;
    let experts = Experts {
        scoring: Scoring::SoftmaxOfChosen,
        normalise: false,
        biases: true,
        activation: Activation::ClampedSwiglu {
            alpha: settings.number_or(key("swiglu_alpha", "swiglu_alpha"), 1.702)?,
            limit: settings.number_or(key("swiglu_limit", "swiglu_limit"), 7.0)?,
        },
        ..Experts::by_softmax(count, used, width)
    };
    let windows = windows::by_layer(settings, sizes.layers, |layer| layer % 2 == 0)?;
    let layers = sizes.layers(&attention, experts, windows::set(&windows));
    sizes.arranged(settings, Arrangement::PRE_MOVED, layers)
}
