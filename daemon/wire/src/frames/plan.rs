//! A plan on the wire. Formats travel as their GGUF type ids.

use mains_contract::{BlockFormat, Bytes, Footprint};
use mains_types::{Digest, Plan, PlanBytes, PlannedTensor, Policy, Segment};
use serde::{Deserialize, Serialize};

use super::{FrameError, bounds};

#[derive(Debug, Serialize, Deserialize)]
pub struct PlanWire {
    model: String,
    variant: [u8; 32],
    weights: [u8; 32],
    segments: Vec<SegmentWire>,
    host: String,
    context: u32,
    parallel: u32,
    step_rows: u32,
    block_tokens: u32,
    blocks: u32,
    kv_format: u32,
    /// Weights, state, activations, scratch, runtime.
    bytes: [u64; 5],
    tensors: Vec<PlannedTensorWire>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SegmentWire {
    device: String,
    driver: String,
    threads: u32,
    first_layer: u32,
    last_layer: u32,
    /// Weights, state, activations, scratch.
    bytes: [u64; 4],
}

#[derive(Debug, Serialize, Deserialize)]
struct PlannedTensorWire {
    name: String,
    format: u32,
    bytes: u64,
}

/// The format of a GGUF type id.
pub(super) fn format(what: &'static str, id: u32) -> Result<BlockFormat, FrameError> {
    BlockFormat::from_gguf_id(id).ok_or_else(|| FrameError::Invalid {
        what,
        reason: format!("type id {id} is not one of ours"),
    })
}

impl From<Plan> for PlanWire {
    fn from(plan: Plan) -> Self {
        let PlanBytes {
            weights,
            state,
            activations,
            scratch,
            runtime,
        } = plan.bytes;
        let segments = plan.segments.into_iter().map(|segment| SegmentWire {
            device: segment.device,
            driver: segment.driver,
            threads: segment.threads,
            first_layer: segment.first_layer,
            last_layer: segment.last_layer,
            bytes: [
                segment.bytes.weights.0,
                segment.bytes.state.0,
                segment.bytes.activations.0,
                segment.bytes.scratch.0,
            ],
        });
        let tensors = plan.tensors.into_iter().map(|tensor| PlannedTensorWire {
            name: tensor.name,
            format: tensor.format.gguf_id(),
            bytes: tensor.bytes.0,
        });
        Self {
            model: plan.model,
            variant: plan.variant.0,
            weights: plan.weights.0,
            segments: segments.collect(),
            host: plan.host,
            context: plan.context,
            parallel: plan.parallel,
            step_rows: plan.step_rows,
            block_tokens: plan.block_tokens,
            blocks: plan.blocks,
            kv_format: plan.kv_format.gguf_id(),
            bytes: [weights.0, state.0, activations.0, scratch.0, runtime.0],
            tensors: tensors.collect(),
        }
    }
}

impl TryFrom<PlanWire> for Plan {
    type Error = FrameError;

    fn try_from(wire: PlanWire) -> Result<Self, FrameError> {
        let [weights, state, activations, scratch, runtime] = wire.bytes.map(Bytes);
        Ok(Self {
            model: bounds::text("plan.model", wire.model, bounds::NAME_BYTES)?,
            variant: Digest(wire.variant),
            weights: Digest(wire.weights),
            segments: bounds::list(
                "plan.segments",
                wire.segments,
                bounds::SEGMENTS,
                TryInto::try_into,
            )?,
            host: bounds::text("plan.host", wire.host, bounds::NAME_BYTES)?,
            context: wire.context,
            parallel: wire.parallel,
            step_rows: wire.step_rows,
            block_tokens: wire.block_tokens,
            blocks: wire.blocks,
            kv_format: format("plan.kv_format", wire.kv_format)?,
            bytes: PlanBytes {
                weights,
                state,
                activations,
                scratch,
                runtime,
            },
            // A worker has no use for these.
            policy: Policy::default(),
            predicted: None,
            kl: None,
            gap: 0.0,
            tensors: bounds::list("plan.tensors", wire.tensors, bounds::TENSORS, TryInto::try_into)?,
        })
    }
}

impl TryFrom<SegmentWire> for Segment {
    type Error = FrameError;

    fn try_from(wire: SegmentWire) -> Result<Self, FrameError> {
        let [weights, state, activations, scratch] = wire.bytes.map(Bytes);
        Ok(Self {
            device: bounds::text("segment.device", wire.device, bounds::NAME_BYTES)?,
            driver: bounds::text("segment.driver", wire.driver, bounds::NAME_BYTES)?,
            threads: wire.threads,
            first_layer: wire.first_layer,
            last_layer: wire.last_layer,
            bytes: Footprint {
                weights,
                state,
                activations,
                scratch,
            },
        })
    }
}

impl TryFrom<PlannedTensorWire> for PlannedTensor {
    type Error = FrameError;

    fn try_from(wire: PlannedTensorWire) -> Result<Self, FrameError> {
        Ok(Self {
            name: bounds::text("tensor.name", wire.name, bounds::NAME_BYTES)?,
            format: format("tensor.format", wire.format)?,
            bytes: Bytes(wire.bytes),
        })
    }
}
