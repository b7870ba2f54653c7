//! The scheduler's state and its steps.

use std::collections::{BTreeMap, HashMap};

use mains_contract::BlockId;

use super::sequence::Sequence;
use super::{NewSequence, SchedulerLimits, SequenceId, StepPlan};
use crate::state::{BlockPool, PrefixCache, SlotPool};

/// What happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Steps that were planned.
    pub steps: u64,
    /// Rows that were planned.
    pub rows: u64,
    /// Of those, rows that a preemption had thrown away.
    pub recomputed_rows: u64,
    /// Sequences that gave up their state for an older one.
    pub preemptions: u64,
    /// Tokens whose state the prefix cache had.
    pub cached_tokens: u64,
}

/// Sequences, their blocks, and who is next. Keyed by arrival: the first is the oldest.
#[derive(Debug)]
pub struct Scheduler {
    pub(super) limits: SchedulerLimits,
    pub(super) pool: BlockPool,
    pub(super) slots: SlotPool,
    pub(super) prefixes: PrefixCache,
    pub(super) waiting: BTreeMap<u64, Sequence>,
    pub(super) running: BTreeMap<u64, Sequence>,
    arrivals: HashMap<SequenceId, u64>,
    next_arrival: u64,
    pub(super) counters: Counters,
}

impl Scheduler {
    /// A scheduler without sequences.
    #[must_use]
    pub fn new(limits: SchedulerLimits) -> Self {
        Self {
            limits,
            pool: BlockPool::new(limits.blocks),
            slots: SlotPool::new(limits.slots),
            prefixes: PrefixCache::default(),
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            arrivals: HashMap::new(),
            next_arrival: 0,
            counters: Counters::default(),
        }
    }

    /// Bytes of memory that a block of `block_tokens` positions takes here at the most, beside its driver's: in the pool, in the
    /// prefix cache, and the tokens in it and its place in a table of a sequence, both of which grow by doubling.
    #[must_use]
    pub const fn bytes_a_block(block_tokens: usize) -> usize {
        let pool = size_of::<u32>() + size_of::<BlockId>();
        let sequence = 2 * (block_tokens * size_of::<u32>() + size_of::<BlockId>());
        pool + PrefixCache::bytes_a_block(block_tokens) + sequence
    }

    /// Adds a sequence behind all others. The caller has checked that the prompt is not empty and that it and one token
    /// fit the context.
    ///
    /// # Panics
    /// When the id is in use, or the prompt's length was not checked.
    pub fn submit(&mut self, new: NewSequence) {
        assert!(
            (1..self.limits.context).contains(&new.prompt.len()),
            "a prompt of {} tokens was not refused",
            new.prompt.len()
        );
        let arrival = self.next_arrival;
        self.next_arrival += 1;
        let known = self.arrivals.insert(new.id, arrival);
        assert!(known.is_none(), "sequence {} is submitted twice", new.id.0);
        self.waiting.insert(arrival, Sequence::new(new));
    }

    /// Whether a sequence of that number is waiting or running.
    #[must_use]
    pub fn contains(&self, id: SequenceId) -> bool {
        self.arrivals.contains_key(&id)
    }

    /// Removes a sequence, ended or not; `false` when there is none of that number.
    pub fn remove(&mut self, id: SequenceId) -> bool {
        let Some(arrival) = self.arrivals.remove(&id) else {
            return false;
        };
        self.evict(arrival);
        self.waiting.remove(&arrival);
        true
    }

    /// Appends a generated token. Gives the sequence's length now, or `None` when it is not there.
    pub fn push(&mut self, id: SequenceId, token: u32) -> Option<usize> {
        let arrival = self.arrivals.get(&id)?;
        let sequence = match self.running.get_mut(arrival) {
            Some(sequence) => sequence,
            None => self.waiting.get_mut(arrival)?,
        };
        sequence.tokens.push(token);
        Some(sequence.tokens.len())
    }

    /// Takes a sequence out of the schedule until it is resumed: its blocks go to others, its tokens stay. `false` when
    /// there is none of that number.
    pub fn pause(&mut self, id: SequenceId) -> bool {
        let Some(arrival) = self.arrivals.get(&id).copied() else {
            return false;
        };
        self.evict(arrival);
        if let Some(sequence) = self.waiting.get_mut(&arrival) {
            sequence.paused = true;
        }
        true
    }

    /// Puts a paused sequence back in its place; `false` when there is none of that number.
    pub fn resume(&mut self, id: SequenceId) -> bool {
        let Some(arrival) = self.arrivals.get(&id) else {
            return false;
        };
        if let Some(sequence) = self.waiting.get_mut(arrival) {
            sequence.paused = false;
        }
        true
    }

    /// Plans the next step; `None` when there is nothing to compute. What is planned counts as computed: each output's
    /// sequence waits for [`Scheduler::push`] or [`Scheduler::remove`].
    pub fn plan(&mut self) -> Option<StepPlan> {
        let mut plan = StepPlan::default();
        self.keep(&mut plan);
        let preemptions = self.counters.preemptions;
        self.plan_decodes(&mut plan);
        // Right after a preemption blocks are short: who came in now would be the next to go.
        if self.counters.preemptions == preemptions {
            self.admit(&mut plan);
        }
        self.plan_prompts(&mut plan);
        if plan.spans.is_empty() {
            debug_assert!(plan.copies.is_empty() && plan.slot_copies.is_empty());
            return None;
        }
        self.counters.steps += 1;
        self.counters.rows += plan.tokens.len() as u64;
        Some(plan)
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Sequences with state, and sequences without.
    #[must_use]
    pub fn running_and_waiting(&self) -> (usize, usize) {
        (self.running.len(), self.waiting.len())
    }

    /// Blocks that no sequence holds, and all blocks.
    #[must_use]
    pub fn free_and_total_blocks(&self) -> (usize, usize) {
        let idle = self.prefixes.idle(&self.pool);
        (self.pool.free() + idle, self.pool.total())
    }

    /// Tells the prefix cache what earlier steps have computed, since from what this step computes nobody can go on yet,
    /// and gives up blocks beyond every window.
    fn keep(&mut self, plan: &mut StepPlan) {
        for sequence in self.running.values_mut() {
            sequence.keep_blocks(&mut self.prefixes, &mut self.pool, self.limits.block_tokens);
            let beyond = self.limits.blocks_beyond_windows(sequence.computed);
            sequence.table.give_up(&mut self.pool, beyond);
            if sequence.checkpoints.first() == Some(&sequence.computed) {
                sequence.checkpoints.remove(0);
                if let Some(own) = sequence.slot
                    && self.prefixes.wants_slot(sequence.known)
                    && let Some(slot) = self.slots.take().or_else(|| self.prefixes.take_slot())
                {
                    plan.slot_copies.push((own, slot));
                    self.prefixes.keep_slot(sequence.known, slot);
                }
            }
        }
    }

    /// One row for every sequence that has one token to compute, the oldest first.
    fn plan_decodes(&mut self, plan: &mut StepPlan) {
        let arrivals: Vec<u64> = self
            .running
            .iter()
            .filter(|(_, sequence)| sequence.pending() == 1)
            .map(|(arrival, _)| *arrival)
            .collect();
        for arrival in arrivals {
            if self.make_room(arrival) {
                self.take_rows(arrival, 1, plan);
            }
        }
    }

    /// The rest of the step's rows for sequences with more to compute, and for those that were just admitted.
    fn plan_prompts(&mut self, plan: &mut StepPlan) {
        let arrivals: Vec<u64> = self.running.keys().copied().collect();
        for arrival in arrivals {
            let left = self.limits.rows - plan.tokens.len();
            let Some(sequence) = self.running.get(&arrival) else {
                continue;
            };
            let rows = sequence.pending_in_step().min(left);
            if rows > 0 {
                self.take_rows(arrival, rows, plan);
            }
        }
    }

    fn take_rows(&mut self, arrival: u64, rows: usize, plan: &mut StepPlan) {
        let Some(sequence) = self.running.get_mut(&arrival) else {
            return;
        };
        plan.push(sequence, rows, self.limits.block_tokens);
        let again = sequence.once_computed.saturating_sub(sequence.computed).min(rows);
        self.counters.recomputed_rows += again as u64;
        sequence.computed += rows;
        sequence.once_computed = sequence.once_computed.max(sequence.computed);
    }

    /// Makes sure that the sequence has a block for its next position, at the cost of the youngest. `false` when it was
    /// itself the youngest and is preempted.
    fn make_room(&mut self, arrival: u64) -> bool {
        loop {
            let Some(sequence) = self.running.get_mut(&arrival) else {
                return false;
            };
            let needed = sequence.tokens.len().div_ceil(self.limits.block_tokens);
            let missing = needed.saturating_sub(sequence.table.blocks().len());
            self.prefixes.make_free(&mut self.pool, &mut self.slots, missing);
            if sequence.table.grow(&mut self.pool, needed).is_ok() {
                return true;
            }
            if let Some(youngest) = self.running.keys().next_back().copied() {
                self.counters.preemptions += 1;
                self.evict(youngest);
            }
        }
    }

    /// Moves a running sequence back to the waiting ones, at the place of its arrival.
    fn evict(&mut self, arrival: u64) {
        if let Some(mut sequence) = self.running.remove(&arrival) {
            let block_tokens = self.limits.block_tokens;
            sequence.keep_blocks(&mut self.prefixes, &mut self.pool, block_tokens);
            self.prefixes
                .find(&sequence.tokens[..sequence.computed], block_tokens);
            sequence.evict(&mut self.pool, &mut self.slots);
            self.waiting.insert(arrival, sequence);
        }
    }
}
