//! One sequence as the scheduler sees it.

use mains_contract::SlotId;

use crate::state::{BlockPool, BlockTable, SlotPool};

/// A sequence's number, given by whoever submits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId(pub u64);

/// A sequence that is to be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSequence {
    /// Its number, unused so far.
    pub id: SequenceId,
    /// Its prompt, not empty.
    pub prompt: Vec<u32>,
    /// Sequences of one group have the same prompt and share its state.
    pub group: Option<u64>,
}

/// Tokens, and how far they are computed.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) id: SequenceId,
    pub(super) group: Option<u64>,
    pub(super) prompt: usize,
    /// Prompt and generated tokens.
    pub(super) tokens: Vec<u32>,
    /// Leading tokens whose state is in the blocks.
    pub(super) computed: usize,
    /// Leading tokens that were ever computed: more than `computed` after a preemption.
    pub(super) once_computed: usize,
    pub(super) table: BlockTable,
    /// Where its per-sequence state is, while it runs.
    pub(super) slot: Option<SlotId>,
    /// Takes no part until it is resumed.
    pub(super) paused: bool,
}

impl Sequence {
    pub(super) fn new(new: NewSequence) -> Self {
        Self {
            id: new.id,
            group: new.group,
            prompt: new.prompt.len(),
            tokens: new.prompt,
            computed: 0,
            once_computed: 0,
            table: BlockTable::new(),
            slot: None,
            paused: false,
        }
    }

    /// Tokens that are still to be computed.
    pub(super) fn pending(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Gives up the state, not the tokens.
    pub(super) fn evict(&mut self, pool: &mut BlockPool, slots: &mut SlotPool) {
        self.table.release(pool);
        if let Some(slot) = self.slot.take() {
            slots.release(slot);
        }
        self.computed = 0;
    }
}
