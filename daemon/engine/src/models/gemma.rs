//! What the families of Gemma share.

use mains_contract::{Activation, RopePairing};
use serde_json::{Map, Value, json};

use super::keys::{in_gguf, key};
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, activation, biases, rope};
use crate::blocks::{Arrangement, Attention, Decoder, DecoderLayer, GatedMlp, Rope};

/// Settings that `config.json` may leave out.
pub(super) fn suppose(settings: &mut Settings) {
    settings.suppose("head_dim", json!(256));
    settings.suppose("sliding_window", json!(4096));
    settings.suppose("tie_word_embeddings", json!(true));
}

/// Attention with the scale that `query_pre_attn_scalar` asks for. GGUF has no such key: its readers take the head's
/// width, and in the family's model of `largest` layers its share of the residual stream (llama.cpp,
/// `llm_build_gemma2_iswa`).
pub(super) fn attention(
    settings: &mut Settings,
    sizes: &Sizes,
    largest: usize,
) -> Result<Attention, ModelError> {
    let scale = in_gguf("attention.scale");
    let usual = Attention::usual_scale(if sizes.layers == largest {
        sizes.width / sizes.heads
    } else {
        sizes.head_dim
    });
    settings.refuse_flag("use_bidirectional_attention")?;
    settings.suppose("query_pre_attn_scalar", json!(256));
    let usual = match settings.take_huggingface("query_pre_attn_scalar") {
        None => usual,
        Some(scalar) => {
            let positive = scalar.as_f64().filter(|scalar| *scalar > 0.0);
            let root = positive.map(|scalar| scalar.sqrt().recip());
            let root = root
                .ok_or_else(|| ModelError::setting("query_pre_attn_scalar", &scalar, "a number above 0"))?;
            settings.record_unless(scale, usual, root)?
        }
    };
    Ok(Attention {
        scale: settings.number_or(scale, usual)?,
        ..biases::of_attention(settings, sizes.attention())?
    })
}

/// The gated part.
pub(super) fn mlp(settings: &mut Settings, sizes: &Sizes) -> Result<GatedMlp, ModelError> {
    // Older files name it twice; this is the one without effect.
    settings.take_huggingface("hidden_act");
    let activation = activation::read(settings, "hidden_activation", Activation::GeluTanh)?;
    Ok(GatedMlp::new(sizes.feed_forward, activation))
}

/// The decoder of these layers, whose logits are bent when the settings, or in their silence `usual`, say so.
pub(super) fn decoder(
    settings: &mut Settings,
    sizes: &Sizes,
    usual: Option<f32>,
    layers: Vec<DecoderLayer>,
) -> Result<Decoder, ModelError> {
    let cap = key("final_logit_softcapping", "final_logit_softcapping");
    Ok(Decoder {
        arrangement: Arrangement::SANDWICH,
        embedding_scale: root(sizes.width),
        soft_cap: settings.number_unless_null(cap, usual)?,
        ..sizes.plain(settings, layers)?
    })
}

/// Rotations of layers with a window and of those without. Files from before `rope_parameters` had types of layers keep
/// one base for each; what they scale is the layers without a window.
pub(super) fn ropes(settings: &mut Settings, sizes: &Sizes) -> Result<[Rope; 2], ModelError> {
    if settings.take_huggingface("rope_parameters").is_none() {
        let base = settings
            .take_huggingface("rope_theta")
            .unwrap_or(json!(1_000_000.0));
        let local = settings.take_huggingface("rope_local_base_freq");
        let mut full = match settings.take_huggingface("rope_scaling") {
            Some(Value::Object(scaling)) => scaling,
            _ => Map::new(),
        };
        full.insert("rope_theta".to_owned(), base);
        let sliding = json!({"rope_theta": local.unwrap_or(json!(10_000.0))});
        let both = json!({"full_attention": full, "sliding_attention": sliding});
        settings.suppose("rope_parameters", both);
    }
    let full = rope::read_of(settings, "full_attention", sizes.head_dim, RopePairing::Halves)?;
    let sliding = rope::read_local(settings, sizes.head_dim, RopePairing::Halves)?;
    Ok([sliding, full])
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a width is far below 2^52, and the operation takes float32"
)]
fn root(width: usize) -> f32 {
    (width as f64).sqrt() as f32
}
