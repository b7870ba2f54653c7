//! The bytes of a load, as values: the planner needs no device and no driver.

use std::iter::Sum;
use std::ops::Add;

use crate::Bytes;

/// The most that any step of a load may ask for. All of it is allocated at load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepLimits {
    /// Rows (tokens) of a step.
    pub rows: usize,
    /// Output rows of a step.
    pub output_rows: usize,
    /// Positions of one sequence.
    pub context: usize,
    /// Blocks of state, over all sequences.
    pub blocks: usize,
    /// Positions in a block.
    pub block_tokens: usize,
    /// Sequences that have per-sequence state at once; 0 will do when the graph has no such state.
    pub slots: usize,
}

/// How a driver's allocations for one graph and its weights' formats grow with the limits and with its threads, exactly. The
/// same on every device: what differs between devices is in [`crate::DriverFacts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FootprintModel {
    /// Weights in the driver's own layout.
    pub weights: Bytes,
    /// State of one token, over all layers.
    pub state_per_token: Bytes,
    /// State of one sequence whatever its length, over all layers.
    pub state_per_sequence: Bytes,
    /// Values between operations, a row.
    pub activations_per_row: Bytes,
    /// Values between operations, an output row.
    pub activations_per_output_row: Bytes,
    /// Working memory whatever the limits.
    pub scratch: Bytes,
    /// Working memory a row.
    pub scratch_per_row: Bytes,
    /// Working memory a position of one sequence.
    pub scratch_per_context_token: Bytes,
    /// Working memory a thread.
    pub scratch_per_thread: Bytes,
    /// Working memory a thread and a position of one sequence.
    pub scratch_per_thread_and_context_token: Bytes,
    /// Working memory an entry of block tables: every row may be a sequence of full context of its own.
    pub scratch_per_table_entry: Bytes,
}

impl FootprintModel {
    /// The bytes of a load under `limits` where `threads` share the work.
    #[must_use]
    pub fn at(&self, limits: &StepLimits, threads: u32) -> Footprint {
        let threads = u64::from(threads);
        let context = limits.context as u64;
        let tokens = (limits.blocks as u64).saturating_mul(limits.block_tokens as u64);
        let table = limits.context.div_ceil(limits.block_tokens.max(1)) as u64;
        Footprint {
            weights: self.weights,
            state: self.state_per_token.times(tokens) + self.state_per_sequence.times(limits.slots as u64),
            activations: self.activations_per_row.times(limits.rows as u64)
                + self.activations_per_output_row.times(limits.output_rows as u64),
            scratch: self.scratch
                + self.scratch_per_row.times(limits.rows as u64)
                + self.scratch_per_context_token.times(context)
                + self.scratch_per_thread.times(threads)
                + self
                    .scratch_per_thread_and_context_token
                    .times(context.saturating_mul(threads))
                + self
                    .scratch_per_table_entry
                    .times(table.saturating_mul(limits.rows as u64)),
        }
    }

    /// Both one after the other: weights add up, of everything else the larger counts.
    #[must_use]
    pub fn beside(&self, other: &Self) -> Self {
        Self {
            weights: self.weights + other.weights,
            ..self.zip(other, Bytes::max)
        }
    }

    /// What it takes beyond `other`, by use.
    pub(crate) fn beyond(&self, other: &Self) -> Self {
        self.zip(other, |one, other| one.checked_sub(other).unwrap_or(Bytes::ZERO))
    }

    fn zip(&self, other: &Self, of: impl Fn(Bytes, Bytes) -> Bytes) -> Self {
        let field = |get: fn(&Self) -> Bytes| of(get(self), get(other));
        Self {
            weights: field(|model| model.weights),
            state_per_token: field(|model| model.state_per_token),
            state_per_sequence: field(|model| model.state_per_sequence),
            activations_per_row: field(|model| model.activations_per_row),
            activations_per_output_row: field(|model| model.activations_per_output_row),
            scratch: field(|model| model.scratch),
            scratch_per_row: field(|model| model.scratch_per_row),
            scratch_per_context_token: field(|model| model.scratch_per_context_token),
            scratch_per_table_entry: field(|model| model.scratch_per_table_entry),
            scratch_per_thread: field(|model| model.scratch_per_thread),
            scratch_per_thread_and_context_token: field(|model| model.scratch_per_thread_and_context_token),
        }
    }
}

/// The bytes of one load on one device, by use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Footprint {
    /// Weights.
    pub weights: Bytes,
    /// State of sequences.
    pub state: Bytes,
    /// Values between operations.
    pub activations: Bytes,
    /// Working memory of kernels.
    pub scratch: Bytes,
}

impl Footprint {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Bytes {
        self.weights + self.state + self.activations + self.scratch
    }
}

impl Add for FootprintModel {
    type Output = Self;

    /// What two loads under the same limits take.
    fn add(self, other: Self) -> Self {
        self.zip(&other, |one, other| one + other)
    }
}

impl Sum for FootprintModel {
    fn sum<I: Iterator<Item = Self>>(models: I) -> Self {
        models.fold(Self::default(), Add::add)
    }
}

impl Add for Footprint {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            weights: self.weights + other.weights,
            state: self.state + other.state,
            activations: self.activations + other.activations,
            scratch: self.scratch + other.scratch,
        }
    }
}

impl Sum for Footprint {
    fn sum<I: Iterator<Item = Self>>(footprints: I) -> Self {
        footprints.fold(Self::default(), Add::add)
    }
}
