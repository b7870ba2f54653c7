//! One step as flat values, ready for a driver.

use mains_contract::{BlockId, SequenceSpan, SlotId, Step};

use super::SequenceId;
use super::sequence::Sequence;

/// Rows of one sequence in a planned step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSpan {
    /// Whose rows.
    pub id: SequenceId,
    /// The first.
    pub first_row: usize,
    /// How many.
    pub rows: usize,
    /// Its blocks, up to the last row's, as a range of [`StepPlan::blocks`].
    blocks: std::ops::Range<usize>,
    /// Its slot.
    pub slot: SlotId,
}

/// What the next step computes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepPlan {
    /// Copies of blocks that come before the step, in order.
    pub copies: Vec<(BlockId, BlockId)>,
    /// Copies of slots that come before the step, in order.
    pub slot_copies: Vec<(SlotId, SlotId)>,
    /// Token ids, one a row.
    pub tokens: Vec<u32>,
    /// Positions, one a row.
    pub positions: Vec<u32>,
    /// Sequences, in the order of their rows.
    pub spans: Vec<PlannedSpan>,
    /// Rows whose logits are wanted, growing.
    pub output_rows: Vec<u32>,
    /// Whose each output row is.
    pub outputs: Vec<SequenceId>,
    /// Sequences that got state for the first time, and how many tokens of their prompts it held already.
    pub started: Vec<(SequenceId, usize)>,
    /// Blocks of all spans, one after the other.
    pub blocks: Vec<BlockId>,
}

impl StepPlan {
    /// Adds the next `rows` pending tokens of `sequence`; its last token's logits are wanted.
    pub(super) fn push(&mut self, sequence: &Sequence, rows: usize, block_tokens: usize) {
        let first_row = self.tokens.len();
        let end = sequence.computed + rows;
        self.tokens
            .extend_from_slice(&sequence.tokens[sequence.computed..end]);
        self.positions.extend((sequence.computed..end).map(index_u32));
        let first_block = self.blocks.len();
        self.blocks
            .extend_from_slice(&sequence.table.blocks()[..end.div_ceil(block_tokens)]);
        self.spans.push(PlannedSpan {
            id: sequence.id,
            first_row,
            rows,
            blocks: first_block..self.blocks.len(),
            slot: sequence
                .slot
                .expect("a sequence has a slot from its admission on"),
        });
        if end == sequence.tokens.len() {
            self.output_rows.push(index_u32(self.tokens.len() - 1));
            self.outputs.push(sequence.id);
        }
    }

    /// Blocks of `span`.
    #[must_use]
    pub fn blocks_of(&self, span: &PlannedSpan) -> &[BlockId] {
        &self.blocks[span.blocks.clone()]
    }

    /// The spans for a [`Step`].
    #[must_use]
    pub fn sequence_spans(&self) -> Vec<SequenceSpan<'_>> {
        let span = |span: &PlannedSpan| SequenceSpan {
            first_row: index_u32(span.first_row),
            rows: index_u32(span.rows),
            blocks: &self.blocks[span.blocks.clone()],
            slot: span.slot,
        };
        self.spans.iter().map(span).collect()
    }

    /// The step, with what [`StepPlan::sequence_spans`] gives.
    #[must_use]
    pub fn step<'a>(&'a self, sequences: &'a [SequenceSpan<'a>]) -> Step<'a> {
        Step {
            tokens: &self.tokens,
            positions: &self.positions,
            sequences,
            output_rows: &self.output_rows,
            inputs: &[],
        }
    }
}

fn index_u32(index: usize) -> u32 {
    u32::try_from(index).expect("rows and positions are bounded by limits far below 2^32")
}
