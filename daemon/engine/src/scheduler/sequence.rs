//! One sequence as the scheduler sees it.

use mains_contract::SlotId;

use crate::state::{BlockPool, BlockTable, Prefix, PrefixCache, SlotPool};

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
    /// Leading blocks that the prefix cache was told of.
    pub(super) known_blocks: usize,
    /// The text in them.
    pub(super) known: Prefix,
    /// Whether it ever had state.
    pub(super) started: bool,
    /// Where its per-sequence state is, while it runs.
    pub(super) slot: Option<SlotId>,
    /// Lengths, growing and ends of blocks, at which the sums over it are to be kept for others.
    pub(super) checkpoints: Vec<usize>,
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
            known_blocks: 0,
            known: Prefix::EMPTY,
            started: false,
            slot: None,
            checkpoints: Vec::new(),
            paused: false,
        }
    }

    /// Tokens that are still to be computed.
    pub(super) fn pending(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Pending tokens that may be computed in one step: up to the next checkpoint.
    pub(super) fn pending_in_step(&self) -> usize {
        let next = self.checkpoints.iter().find(|length| **length > self.computed);
        next.map_or(self.tokens.len(), |length| *length) - self.computed
    }

    /// Tells `cache` of every full block that was computed.
    pub(super) fn keep_blocks(&mut self, cache: &mut PrefixCache, pool: &mut BlockPool, block_tokens: usize) {
        // Who took over a prompt without its beginning does not know which text it goes on from.
        if self.known_blocks < self.table.given_up() {
            return;
        }
        let full = self.computed / block_tokens;
        for index in self.known_blocks..full {
            let tokens = &self.tokens[index * block_tokens..][..block_tokens];
            self.known = cache.insert(pool, self.known, tokens, self.table.blocks()[index]);
        }
        self.known_blocks = self.known_blocks.max(full);
    }

    /// Gives up the state, not the tokens.
    pub(super) fn evict(&mut self, pool: &mut BlockPool, slots: &mut SlotPool) {
        self.table.release(pool);
        if let Some(slot) = self.slot.take() {
            slots.release(slot);
        }
        self.checkpoints.clear();
        self.computed = 0;
        self.known_blocks = 0;
        self.known = Prefix::EMPTY;
    }
}
