//! `GET /v1/models/{id}/plan?context=&parallel=&device=&memory=` (`memory` in bytes), or `POST` with the [`crate::http::DevicesBody`]
//! of another box that it is to be planned for. When nothing fits the status is 422
//! and the body an [`crate::http::ErrorBody`] with code `no_plan` and `nearest`.

use mains_types::Plan;
use serde::{Deserialize, Serialize};

/// Where a model goes and what it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanBody {
    /// The model's name.
    pub model: String,
    /// Digest of the variant, hexadecimal.
    pub variant: String,
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
    /// How fast it will be, when its device was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<PredictedBody>,
    /// Tensors with their types.
    pub tensors: Vec<TensorBody>,
}

/// A range of layers on one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentBody {
    /// The device.
    pub device: String,
    /// The driver.
    pub driver: String,
    /// Threads that share its work.
    pub threads: u32,
    /// First layer.
    pub first_layer: u32,
    /// Last layer, included.
    pub last_layer: u32,
}

/// The speed of one sequence, from what was measured on the device.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PredictedBody {
    /// Tokens of a prompt a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill_tokens_per_s: Option<f64>,
    /// Tokens of an answer a second, with a context that is half full.
    pub decode_tokens_per_s: f64,
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

impl From<&Plan> for PlanBody {
    fn from(plan: &Plan) -> Self {
        Self {
            model: plan.model.clone(),
            variant: plan.variant.to_string(),
            segments: plan
                .segments
                .iter()
                .map(|segment| SegmentBody {
                    device: segment.device.clone(),
                    driver: segment.driver.clone(),
                    threads: segment.threads,
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
            predicted: plan.predicted.map(|predicted| PredictedBody {
                prefill_tokens_per_s: predicted.prefill_tokens_per_s,
                decode_tokens_per_s: predicted.decode_tokens_per_s,
            }),
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
