//! What the families with linear attention on most layers share.

use mains_contract::{Activation, RopePairing};
use serde_json::{Value, json};

use super::family::TensorName;
use super::keys::{Key, in_gguf, key};
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, biases, rope, tensors};
use crate::blocks::{Attention, DecoderLayer, GatedDelta, GatedDeltaForm, GatedMlp, HeadNorm, Mixer};

/// The norm before the second branch, whose gains lack 1 as those of [`tensors::ENDS_PLUS_ONE`] do, and the one of linear
/// attention's heads, whose gains are whole.
pub(super) const NORMS: &[TensorName] = &[
    tensors::plus_one(
        "blk.{}.post_attention_norm.weight",
        "model.layers.{}.post_attention_layernorm.weight",
    ),
    TensorName::new(
        "blk.{}.ssm_norm.weight",
        "model.layers.{}.linear_attn.norm.weight",
    ),
];

/// What GGUF files say of layers beside their tensors: which have linear attention, and every which one has not.
const RECURRENT: &str = "attention.recurrent_layers";
const INTERVAL: Key = key("full_attention_interval", "full_attention_interval");
/// What files have that do not say.
const USUAL_INTERVAL: usize = 4;

/// Settings of a small model with linear attention on the first of two layers.
pub(super) fn tiny() -> Value {
    json!({
        "layer_types": ["linear_attention", "full_attention"],
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 12,
        "linear_conv_kernel_dim": 3,
    })
}

/// What the layers are made of.
pub(super) struct Parts {
    pub(super) sizes: Sizes,
    /// Of the other layers.
    pub(super) attention: Attention,
    pub(super) dense: GatedMlp,
    linear: GatedDelta,
    /// Which layers have linear attention.
    is_linear: Vec<bool>,
}

impl Parts {
    /// Reads them, with projections of linear attention in `form`.
    pub(super) fn read(settings: &mut Settings, form: GatedDeltaForm) -> Result<Self, ModelError> {
        settings.suppose("head_dim", json!(256));
        settings.suppose("partial_rotary_factor", json!(0.25));
        let sizes = Sizes::read(settings)?;
        let attention = Attention {
            gated: true,
            head_norm: Some(HeadNorm::of_heads(sizes.norm)),
            rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
            ..biases::of_attention(settings, sizes.attention())?
        };
        let dense = sizes.gated(settings, Activation::Silu)?;
        Ok(Self {
            attention,
            dense,
            linear: linear(settings, &sizes, dense.activation, form)?,
            is_linear: linear_layers(settings, sizes.layers)?,
            sizes,
        })
    }

    /// Gives a layer its linear attention.
    pub(super) fn set(&self, index: usize, layer: &mut DecoderLayer) {
        if self.is_linear[index] {
            layer.instead = Some(Mixer::GatedDelta(self.linear));
        }
    }
}

fn linear(
    settings: &mut Settings,
    sizes: &Sizes,
    activation: Activation,
    form: GatedDeltaForm,
) -> Result<GatedDelta, ModelError> {
    let kernel = settings.integer(key("ssm.conv_kernel", "linear_conv_kernel_dim"))?;
    let key_dim = settings.integer(key("ssm.state_size", "linear_key_head_dim"))?;
    let key_heads = settings.integer(key("ssm.group_count", "linear_num_key_heads"))?;
    let heads = settings.integer(key("ssm.time_step_rank", "linear_num_value_heads"))?;
    let inner = in_gguf("ssm.inner_size");
    let value_dim = if settings.is_gguf() {
        settings.integer(inner)? / heads
    } else {
        let value_dim = settings.integer(key(inner.gguf, "linear_value_head_dim"))?;
        settings.record_instead(inner, heads * value_dim);
        value_dim
    };
    Ok(GatedDelta {
        heads,
        key_heads,
        key_dim,
        value_dim,
        kernel,
        activation,
        norm: sizes.norm,
        form,
    })
}

/// Which layers have linear attention: those that `layer_types` lists, or all but every so many'th. In GGUF the tensors
/// tell.
fn linear_layers(settings: &mut Settings, layers: usize) -> Result<Vec<bool>, ModelError> {
    if settings.is_gguf() {
        for known in [RECURRENT, INTERVAL.gguf] {
            settings.take(known);
        }
        let is_linear = |layer: usize| settings.has_tensor(&format!("blk.{layer}.ssm_a"));
        return Ok((0..layers).map(is_linear).collect());
    }
    let interval = settings.integer_or(INTERVAL, USUAL_INTERVAL)?;
    let name = "layer_types";
    let linear = match settings.take(name) {
        None | Some(Value::Null) => (1..=layers)
            .map(|layer| !layer.is_multiple_of(interval))
            .collect(),
        Some(listed) => listed_layers(name, &listed, layers)?,
    };
    settings.record_flags(RECURRENT, linear.clone());
    Ok(linear)
}

fn listed_layers(name: &str, listed: &Value, layers: usize) -> Result<Vec<bool>, ModelError> {
    let is_linear = |kind: &Value| match kind.as_str() {
        Some("linear_attention") => Some(true),
        Some("full_attention") => Some(false),
        _ => None,
    };
    let kinds = listed.as_array().filter(|kinds| kinds.len() == layers);
    let all: Option<Vec<bool>> = kinds.and_then(|kinds| kinds.iter().map(is_linear).collect());
    all.ok_or_else(|| {
        let reason = format!("{layers} times linear_attention or full_attention");
        ModelError::setting(name, listed, reason)
    })
}
