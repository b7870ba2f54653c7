//! `GET /v1/models/{id}/plan?context=&parallel=&device=&memory=&weights=&policy=&explain=` (`memory` and `weights` in bytes, `device` several ids
//! with commas between them), or `POST` with the [`crate::http::DevicesBody`]
//! of another box that it is to be planned for. When nothing fits the status is 422
//! and the body an [`crate::http::ErrorBody`] with code `no_plan` and `nearest`.

use mains_types::{Around, Nearest, Plan};
use serde::{Deserialize, Serialize};

/// Where a model goes and what it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanBody {
    /// The model's name.
    pub model: String,
    /// Digest of the variant, hexadecimal.
    pub variant: String,
    /// What memory was spent on first: `quality`, `balanced` or `speed`.
    pub policy: String,
    /// Layers by device, in order.
    pub segments: Vec<SegmentBody>,
    /// Positions of one sequence.
    pub context: u32,
    /// Sequences at once.
    pub parallel: u32,
    /// Type of cached keys and values.
    pub kv_type: String,
    /// Every byte, by use.
    pub bytes: PlanBytesBody,
    /// What to expect of it.
    pub predicted: PredictedBody,
    /// How far the choice of types may be from the best, as a share.
    pub gap: f64,
    /// Tensors with their types.
    pub tensors: Vec<TensorBody>,
    /// What is there of the files that a load maps; not of a plan for another box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<super::PreparedBody>,
    /// Plans with fewer and with more bytes of weights, when they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub around: Vec<AroundBody>,
}

/// A plan of the same shape with other types.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AroundBody {
    /// Bytes of its tensors in a file.
    pub weights: u64,
    /// Every byte that it takes.
    pub total: u64,
    /// KL divergence from the unquantized model to expect, nats a token.
    pub kl: f64,
    /// Bytes by type, the most first.
    pub types: Vec<(String, u64)>,
    /// Whether the memory is there.
    pub fits: bool,
    /// Whether it is the plan itself.
    pub chosen: bool,
}

/// A range of layers on one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentBody {
    /// The device.
    pub device: String,
    /// The driver.
    pub driver: String,
    /// First layer.
    pub first_layer: u32,
    /// Last layer, included.
    pub last_layer: u32,
}

/// What to expect of a plan: its quality, and the speed of one sequence from what was measured on the device.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PredictedBody {
    /// KL divergence from the unquantized model, nats a token; null when the model was not measured.
    pub kl: Option<f64>,
    /// Tokens of a prompt a second.
    pub prefill_tokens_per_s: Option<f64>,
    /// Tokens of an answer a second, with a context that is half full.
    pub decode_tokens_per_s: Option<f64>,
}

/// Bytes by use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanBytesBody {
    /// Weights.
    pub weights: u64,
    /// State of sequences.
    pub state: u64,
    /// Values between operations.
    pub activations: u64,
    /// Working memory of kernels.
    pub scratch: u64,
    /// The worker beside its arenas.
    pub runtime: u64,
    /// All of it.
    pub total: u64,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorBody {
    /// Its name in GGUF.
    pub name: String,
    /// The type that it is loaded in.
    #[serde(rename = "type")]
    pub format: String,
    /// Bytes.
    pub bytes: u64,
}

/// A demand that has a plan where the one that was asked has none: the query that asks it, a field each, and a sentence. What
/// is null is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NearestBody {
    /// Positions of one sequence.
    pub context: Option<u32>,
    /// Sequences at once.
    pub parallel: Option<u32>,
    /// What memory is spent on first.
    pub policy: Option<String>,
    /// Devices, with commas between them.
    pub device: Option<String>,
    /// Bytes of memory on each device.
    pub memory: Option<u64>,
    /// Bytes of tensors.
    pub weights: Option<u64>,
    /// How it differs, for people.
    pub words: String,
}

impl From<Nearest> for NearestBody {
    fn from(nearest: Nearest) -> Self {
        let demand = nearest.demand;
        Self {
            context: demand.context,
            parallel: demand.parallel,
            policy: demand.policy.map(|policy| policy.name().to_owned()),
            device: demand.device_list(),
            memory: demand.memory.map(|memory| memory.0),
            weights: demand.weights.map(|weights| weights.0),
            words: nearest.words,
        }
    }
}

impl From<&Plan> for PlanBody {
    fn from(plan: &Plan) -> Self {
        Self {
            model: plan.model.clone(),
            variant: plan.variant.to_string(),
            policy: plan.policy.name().to_owned(),
            segments: plan
                .segments
                .iter()
                .map(|segment| SegmentBody {
                    device: segment.device.clone(),
                    driver: segment.driver.clone(),
                    first_layer: segment.first_layer,
                    last_layer: segment.last_layer,
                })
                .collect(),
            context: plan.context,
            parallel: plan.parallel,
            kv_type: plan.kv_format.name().to_owned(),
            bytes: PlanBytesBody {
                weights: plan.bytes.weights.0,
                state: plan.bytes.state.0,
                activations: plan.bytes.activations.0,
                scratch: plan.bytes.scratch.0,
                runtime: plan.bytes.runtime.0,
                total: plan.bytes.total().0,
            },
            predicted: PredictedBody {
                kl: plan.kl,
                prefill_tokens_per_s: plan.predicted.and_then(|speed| speed.prefill_tokens_per_s),
                decode_tokens_per_s: plan.predicted.map(|speed| speed.decode_tokens_per_s),
            },
            gap: plan.gap,
            prepared: None,
            around: Vec::new(),
            tensors: plan
                .tensors
                .iter()
                .map(|tensor| TensorBody {
                    name: tensor.name.clone(),
                    format: tensor.format.name().to_owned(),
                    bytes: tensor.bytes.0,
                })
                .collect(),
        }
    }
}

impl From<&Around> for AroundBody {
    fn from(around: &Around) -> Self {
        Self {
            weights: around.weights.0,
            total: around.total.0,
            kl: around.kl,
            types: around
                .types
                .iter()
                .map(|(format, bytes)| (format.name().to_owned(), bytes.0))
                .collect(),
            fits: around.fits,
            chosen: around.chosen,
        }
    }
}
