//! StarCoder2 (arXiv 2402.19173; configuration as in `transformers`, `Starcoder2Config`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("starcoder2", "StarCoder2", TENSORS, declare, tiny)
    .ignoring(&["embedding_dropout", "residual_dropout"]);

const TENSORS: &[&[TensorName]] = &[
    tensors::ENDS,
    tensors::VALUE,
    tensors::OUTPUT,
    tensors::QUERY_KEY,
    tensors::NORMS_BEFORE,
    tensors::PRE_NORM_BIASES,
    &[
        TensorName::new("blk.{}.ffn_up.weight", "model.layers.{}.mlp.c_fc.weight"),
        TensorName::new("blk.{}.ffn_up.bias", "model.layers.{}.mlp.c_fc.bias"),
        TensorName::new("blk.{}.ffn_down.weight", "model.layers.{}.mlp.c_proj.weight"),
        TensorName::new("blk.{}.ffn_down.bias", "model.layers.{}.mlp.c_proj.bias"),
    ],
];

fn tiny() -> Value {
    json!([{"rms_norm_eps": null, "norm_epsilon": 1e-5}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("tie_word_embeddings", json!(true));
    let epsilon = key("attention.layer_norm_epsilon", "norm_epsilon");
    let sizes = Sizes::read_with(settings, epsilon, NormKind::LayerWithBias)?;
    let biases = settings.has_part("use_bias", true, "blk.{}.attn_q.bias")?;
    let attention = Attention {
        biases,
        output_bias: biases,
        window: windows::of_all_layers(settings)?,
        ..sizes.rotating(settings, RopePairing::Halves)?
    };
    let mlp = PlainMlp {
        width: sizes.feed_forward,
        activation: activation::read(settings, "hidden_act", Activation::GeluTanh)?,
        biases,
    };
    let layers = sizes.layers(&attention, mlp, |_, _| {});
    sizes.decoder(settings, layers)
}
