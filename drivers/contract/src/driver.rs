//! A driver: the code that computes on one kind of device.

use std::sync::Arc;

use crate::{
    BlockFormat, BlockId, Footprint, FootprintModel, Graph, KeptWeight, Node, Packer, SequenceState,
    SharedBytes, SlotId, Step, StepLimits,
};

/// Computes graphs on one kind of device.
pub trait Driver: Send + Sync {
    /// What it is and what it takes, as values.
    fn capabilities(&self) -> &Capabilities;

    /// Whether it can compute `node` of `graph` when weights have the formats that `format_of` gives (by index).
    ///
    /// # Errors
    /// [`Unsupported`] names the operation and the reason, before anything is loaded.
    fn supports(&self, graph: &Graph, node: &Node, formats: &[BlockFormat]) -> Result<(), Unsupported>;

    /// How the bytes of a load grow with its limits and with the threads of [`Capabilities`], on any device. [`Driver::load`]
    /// allocates exactly this.
    fn footprint(&self, graph: &Graph, formats: &[BlockFormat]) -> FootprintModel;

    /// The way to pack weights ahead of a load; none when the driver keeps nothing that could be mapped.
    fn packer(&self) -> Option<&dyn Packer> {
        None
    }

    /// Loads the weights of `graph` in the driver's own layout and allocates all that steps under `limits` need. Weights
    /// that `weights` has packed are used where they are and kept alive with the model; the footprint counts them alike.
    ///
    /// # Errors
    /// [`DriverError`] when a weight is missing or does not have its shape, or memory runs out.
    fn load(
        &self,
        graph: Arc<Graph>,
        weights: &dyn WeightSource,
        limits: &StepLimits,
    ) -> Result<Box<dyn LoadedModel>, DriverError>;
}

/// A graph with its weights and state on a device, ready to run.
pub trait LoadedModel: Send {
    /// What was allocated, by use: equal to the footprint model at the limits.
    fn footprint(&self) -> Footprint;

    /// Runs one step and writes the graph's outputs to `out`, one after the other in the graph's order, each `rows x
    /// width` without padding: [`Graph::output_ranges`] says what is where. Of a graph that gives logits alone that is
    /// `output_rows x vocabulary`.
    ///
    /// # Errors
    /// [`DriverError`] when the step exceeds the limits, contradicts itself or the graph, `out` does not have the
    /// outputs' length, or the device fails. State is then undefined for the step's sequences.
    fn run(&mut self, step: &Step<'_>, out: &mut [f32]) -> Result<(), DriverError>;

    /// Copies blocks of every per-token state, in order.
    ///
    /// # Errors
    /// [`DriverError::Limits`] when a block is beyond the limits.
    fn copy_blocks(&mut self, pairs: &[(BlockId, BlockId)]) -> Result<(), DriverError>;

    /// Copies slots of every per-sequence state, in order. A copy is where another sequence, or this one later, may go
    /// on from.
    ///
    /// # Errors
    /// [`DriverError::Limits`] when a slot is beyond the limits.
    fn copy_slots(&mut self, pairs: &[(SlotId, SlotId)]) -> Result<(), DriverError>;

    /// The state of a sequence as bytes in the driver's own layout, in every state of the graph.
    ///
    /// # Errors
    /// [`DriverError::Limits`] when a block or the slot is beyond the limits.
    fn snapshot(&mut self, state: &SequenceState<'_>) -> Result<Vec<u8>, DriverError>;

    /// Puts a snapshot of this loaded model, or of one that was loaded alike, into other blocks and another slot.
    ///
    /// # Errors
    /// [`DriverError::Limits`] when a block or the slot is beyond the limits, or the snapshot is of another size.
    fn restore(&mut self, snapshot: &[u8], state: &SequenceState<'_>) -> Result<(), DriverError>;
}

/// What a driver can do, as values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The driver's name, such as `cpu`.
    pub driver: &'static str,
    /// The kernels that it picked, such as `avx512`.
    pub kernels: String,
    /// Formats of matrices that it multiplies by.
    pub weight_formats: Vec<BlockFormat>,
    /// Threads that share its work.
    pub threads: usize,
}

/// Where a driver gets weights from at load.
pub trait WeightSource {
    /// The tensor called `name`.
    ///
    /// # Errors
    /// [`DriverError::Weight`] when there is none, or it cannot be read.
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError>;

    /// The format that [`WeightSource::weight`] gives the tensor called `name` in, without making it.
    ///
    /// # Errors
    /// [`DriverError::Weight`] when there is none, or it cannot be read.
    fn format(&self, name: &str) -> Result<BlockFormat, DriverError> {
        Ok(self.weight(name)?.format)
    }

    /// The weight as [`Packer::pack`] would arrange it for exactly `kept`, at a multiple of [`crate::PACKED_ALIGNMENT`] in
    /// memory; none when it was not packed so.
    ///
    /// # Errors
    /// [`DriverError::Weight`] when what was packed is damaged.
    fn packed(&self, kept: &KeptWeight) -> Result<Option<SharedBytes>, DriverError> {
        let _ = kept;
        Ok(None)
    }
}

/// A tensor's bytes in a block format, rows one after the other without padding.
#[derive(Debug, Clone, Copy)]
pub struct WeightData<'a> {
    /// How they are stored.
    pub format: BlockFormat,
    /// Rows.
    pub rows: usize,
    /// Numbers in a row.
    pub cols: usize,
    /// `rows * format.row_bytes(cols)` bytes.
    pub bytes: &'a [u8],
}

/// An operation that a driver does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("driver {driver} can not compute {op}: {reason}")]
pub struct Unsupported {
    /// The driver's name.
    pub driver: &'static str,
    /// The operation's name.
    pub op: &'static str,
    /// Why not.
    pub reason: String,
}

/// A load or a step that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The graph has an operation that this driver lacks.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// A weight is missing or is not what the graph declares.
    #[error("weight {name}: {reason}")]
    Weight {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A step asks for more than was allocated, or contradicts itself.
    #[error("step beyond its limits: {0}")]
    Limits(String),
    /// Memory could not be had.
    #[error("out of memory: {what} needs {bytes} bytes")]
    OutOfMemory {
        /// What it was for.
        what: &'static str,
        /// How much was asked for.
        bytes: u64,
    },
    /// The device failed.
    #[error("device failed: {0}")]
    Device(String),
}
