//! One step of a model: all that changes between steps, as flat buffers.

use crate::{BlockId, SlotId};

/// Rows of several sequences that are computed together.
///
/// Rows of one sequence are consecutive and in the order of their positions. Positions are absolute; a row's keys and
/// values go to block `blocks[position / block_tokens]`, place `position % block_tokens`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Step<'a> {
    /// Token ids, one a row.
    pub tokens: &'a [u32],
    /// Positions in their sequence, one a row.
    pub positions: &'a [u32],
    /// The sequences, in the order of their rows.
    pub sequences: &'a [SequenceSpan<'a>],
    /// Rows whose outputs are wanted, growing.
    pub output_rows: &'a [u32],
    /// Rows from an earlier segment, as wide as [`crate::Graph::input_width`]; empty when the graph takes none.
    pub inputs: &'a [f32],
}

/// The rows of one sequence in a step.
#[derive(Debug, Clone, Copy)]
pub struct SequenceSpan<'a> {
    /// Its first row.
    pub first_row: u32,
    /// How many rows.
    pub rows: u32,
    /// Blocks of all its positions up to the last row's. What no row sees, beyond [`crate::Graph::window`], may be in
    /// anybody's block.
    pub blocks: &'a [BlockId],
    /// Where its per-sequence state is: its own while it runs. [`SlotId`] 0 under limits of no slots.
    pub slot: SlotId,
}
