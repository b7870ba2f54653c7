//! StarCoder2 (arXiv 2402.19173; configuration as in `transformers`, `Starcoder2Config`).

use mains_contract::{Activation, RopePairing};
use serde_json::json;

use super::family::{Family, TensorName};
use super::keys::key;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, activation, rope, tensors, windows};
use crate::blocks::{Architecture, Attention, NormKind, PlainMlp};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "starcoder2",
    gguf: "starcoder2",
    gguf_marker: None,
    display_name: "StarCoder2",
    ignored: &["embedding_dropout", "residual_dropout"],
    tensors: &[
        tensors::ENDS,
        tensors::VALUE_OUTPUT,
        tensors::QUERY_KEY,
        tensors::NORMS_BEFORE,
        tensors::PRE_NORM_BIASES,
        &[
            TensorName::new("blk.{}.ffn_up.weight", "model.layers.{}.mlp.c_fc.weight"),
            TensorName::new("blk.{}.ffn_up.bias", "model.layers.{}.mlp.c_fc.bias"),
            TensorName::new("blk.{}.ffn_down.weight", "model.layers.{}.mlp.c_proj.weight"),
            TensorName::new("blk.{}.ffn_down.bias", "model.layers.{}.mlp.c_proj.bias"),
        ],
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("tie_word_embeddings", json!(true));
    let epsilon = key("attention.layer_norm_epsilon", "norm_epsilon");
    let sizes = Sizes::read_with(settings, epsilon, NormKind::LayerWithBias)?;
    let biases = settings.has_part("use_bias", true, "blk.{}.attn_q.bias")?;
    let attention = Attention {
        biases,
        output_bias: biases,
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        window: windows::of_all_layers(settings)?,
        ..sizes.attention()
    };
    let mlp = PlainMlp {
        width: sizes.feed_forward,
        activation: activation::read(settings, "hidden_act", Activation::GeluTanh)?,
        biases,
    };
    let layers = sizes.layers(&attention, mlp, |_, _| {});
    sizes.decoder(settings, layers)
}
