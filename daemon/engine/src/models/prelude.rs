//! All that a family's file needs: `use super::prelude::*;`.

pub(super) use mains_contract::{Activation, RopePairing, Scoring};
pub(super) use serde_json::{Value, json};

pub(super) use super::family::{Family, TensorName};
pub(super) use super::keys::{Key, in_gguf, key};
pub(super) use super::settings::Settings;
pub(super) use super::sizes::Sizes;
pub(super) use super::transform::Transform;
pub(super) use super::value_heads::HeadOrder;
pub(super) use super::{
    ModelError, activation, biases, encoders, experts, gemma, keys, qwen_next, rope, tensors, tiny, windows,
};
pub(super) use crate::blocks::{
    Architecture, Arrangement, Attention, Decoder, Encoder, EncoderNorms, Experts, GatedDeltaForm, GatedMlp,
    HeadNorm, KeyValues, LatentAttention, Mixer, Norm, NormKind, PerLayerInput, PlainMlp, SharedExpert,
};
