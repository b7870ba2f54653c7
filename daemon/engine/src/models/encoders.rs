//! What the families of encoders share.

use mains_contract::Activation;
use serde_json::json;

use super::family::TensorName;
use super::keys::{self, Key};
use super::settings::Settings;
use super::sizes::Sizes;
use super::transform::Transform;
use super::{ModelError, activation};
use crate::blocks::{Architecture, Attention, Encoder, EncoderNorms, NormKind, PlainMlp};

/// All tensors of BERT.
pub(super) const BERT: &[TensorName] = &[
    TensorName::new("token_embd.weight", "embeddings.word_embeddings.weight"),
    TensorName::new("token_types.weight", "embeddings.token_type_embeddings.weight"),
    TensorName::new("position_embd.weight", "embeddings.position_embeddings.weight")
        .with(Transform::LastRows),
    TensorName::new("token_embd_norm.weight", "embeddings.LayerNorm.weight"),
    TensorName::new("token_embd_norm.bias", "embeddings.LayerNorm.bias"),
    TensorName::new("cls.weight", "pooler.dense.weight"),
    TensorName::new("cls.bias", "pooler.dense.bias"),
    TensorName::new(
        "blk.{}.attn_q.weight",
        "encoder.layer.{}.attention.self.query.weight",
    ),
    TensorName::new("blk.{}.attn_q.bias", "encoder.layer.{}.attention.self.query.bias"),
    TensorName::new(
        "blk.{}.attn_k.weight",
        "encoder.layer.{}.attention.self.key.weight",
    ),
    TensorName::new("blk.{}.attn_k.bias", "encoder.layer.{}.attention.self.key.bias"),
    TensorName::new(
        "blk.{}.attn_v.weight",
        "encoder.layer.{}.attention.self.value.weight",
    ),
    TensorName::new("blk.{}.attn_v.bias", "encoder.layer.{}.attention.self.value.bias"),
    TensorName::new(
        "blk.{}.attn_output.weight",
        "encoder.layer.{}.attention.output.dense.weight",
    ),
    TensorName::new(
        "blk.{}.attn_output.bias",
        "encoder.layer.{}.attention.output.dense.bias",
    ),
    TensorName::new(
        "blk.{}.attn_output_norm.weight",
        "encoder.layer.{}.attention.output.LayerNorm.weight",
    ),
    TensorName::new(
        "blk.{}.attn_output_norm.bias",
        "encoder.layer.{}.attention.output.LayerNorm.bias",
    ),
    TensorName::new(
        "blk.{}.ffn_up.weight",
        "encoder.layer.{}.intermediate.dense.weight",
    ),
    TensorName::new("blk.{}.ffn_up.bias", "encoder.layer.{}.intermediate.dense.bias"),
    TensorName::new("blk.{}.ffn_down.weight", "encoder.layer.{}.output.dense.weight"),
    TensorName::new("blk.{}.ffn_down.bias", "encoder.layer.{}.output.dense.bias"),
    TensorName::new(
        "blk.{}.layer_output_norm.weight",
        "encoder.layer.{}.output.LayerNorm.weight",
    ),
    TensorName::new(
        "blk.{}.layer_output_norm.bias",
        "encoder.layer.{}.output.LayerNorm.bias",
    ),
];

/// Settings of training, of heads that files may carry, and of decoders made of the same layers.
pub(super) const IGNORED: &[&str] = &[
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "gradient_checkpointing",
    "hidden_dropout_prob",
    "id2label",
    "label2id",
    "output_past",
];

/// Sizes of an encoder. Each query head has its own key head, whatever files say.
pub(super) fn sizes(settings: &mut Settings, epsilon: Key, kind: NormKind) -> Result<Sizes, ModelError> {
    settings.expect_in_gguf("attention.causal", &json!(false))?;
    settings.discard(keys::KV_HEADS);
    settings.discard(keys::HEAD_DIM);
    let sizes = Sizes::read_with(settings, epsilon, kind)?;
    settings.record_flag("attention.causal", false);
    Ok(sizes)
}

/// The encoder of `layers`, all of them alike.
pub(super) fn bert(settings: &mut Settings, unused_positions: usize) -> Result<Architecture, ModelError> {
    settings.expect("position_embedding_type", &json!("absolute"))?;
    settings.refuse_flag("is_decoder")?;
    settings.refuse_flag("add_cross_attention")?;
    let sizes = sizes(settings, keys::LAYER_EPSILON, NormKind::LayerWithBias)?;
    let attention = Attention {
        causal: false,
        biases: true,
        output_bias: true,
        ..sizes.attention()
    };
    let mlp = PlainMlp {
        width: sizes.feed_forward,
        activation: activation::read(settings, "hidden_act", Activation::Gelu)?,
        biases: true,
    };
    let context = sizes.context.saturating_sub(unused_positions);
    settings.record_instead(keys::CONTEXT, context);
    let encoder = Encoder {
        width: sizes.width,
        vocabulary: settings.vocabulary()?,
        context,
        positions: true,
        token_types: settings.token_types()?,
        norm: sizes.norm,
        norms: EncoderNorms::OfSums,
        pooler: settings.has_tensor("cls.weight"),
        layers: sizes.layers(&attention, mlp, |_, _| {}),
    };
    Ok(encoder.into())
}
