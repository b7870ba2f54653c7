//! Sampling parameters on the wire.

use mains_types::{LogitBias, Sampling, SamplingDefaults};
use serde::{Deserialize, Serialize};

use super::{FrameError, bounds};

#[derive(Debug, Serialize, Deserialize)]
pub struct SamplingWire {
    temperature: Option<f32>,
    top_k: Option<u32>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    frequency_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    repetition_penalty: Option<f32>,
    logit_bias: Vec<(u32, f32)>,
    seed: Option<u64>,
}

impl From<Sampling> for SamplingWire {
    fn from(sampling: Sampling) -> Self {
        let biases = sampling.logit_bias.into_iter();
        Self {
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
            frequency_penalty: sampling.frequency_penalty,
            presence_penalty: sampling.presence_penalty,
            repetition_penalty: sampling.repetition_penalty,
            logit_bias: biases.map(|LogitBias { token, bias }| (token, bias)).collect(),
            seed: sampling.seed,
        }
    }
}

impl TryFrom<SamplingWire> for Sampling {
    type Error = FrameError;

    fn try_from(wire: SamplingWire) -> Result<Self, FrameError> {
        Ok(Self {
            temperature: bounds::optional_finite("temperature", wire.temperature)?,
            top_k: wire.top_k,
            top_p: bounds::optional_finite("top_p", wire.top_p)?,
            min_p: bounds::optional_finite("min_p", wire.min_p)?,
            frequency_penalty: bounds::optional_finite("frequency_penalty", wire.frequency_penalty)?,
            presence_penalty: bounds::optional_finite("presence_penalty", wire.presence_penalty)?,
            repetition_penalty: bounds::optional_finite("repetition_penalty", wire.repetition_penalty)?,
            logit_bias: bounds::list(
                "logit_bias",
                wire.logit_bias,
                bounds::LOGIT_BIASES,
                |(token, bias)| {
                    let bias = bounds::finite("logit_bias", bias)?;
                    Ok(LogitBias { token, bias })
                },
            )?,
            seed: wire.seed,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct SamplingDefaultsWire {
    temperature: Option<f32>,
    top_k: Option<u32>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
}

impl From<SamplingDefaults> for SamplingDefaultsWire {
    fn from(defaults: SamplingDefaults) -> Self {
        let SamplingDefaults {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
        } = defaults;
        Self {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
        }
    }
}

impl TryFrom<SamplingDefaultsWire> for SamplingDefaults {
    type Error = FrameError;

    fn try_from(wire: SamplingDefaultsWire) -> Result<Self, FrameError> {
        Ok(Self {
            temperature: bounds::optional_finite("facts.temperature", wire.temperature)?,
            top_k: wire.top_k,
            top_p: bounds::optional_finite("facts.top_p", wire.top_p)?,
            min_p: bounds::optional_finite("facts.min_p", wire.min_p)?,
            repetition_penalty: bounds::optional_finite("facts.repetition_penalty", wire.repetition_penalty)?,
        })
    }
}
