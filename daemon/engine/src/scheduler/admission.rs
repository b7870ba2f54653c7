//! Which waiting sequences get state.

use mains_contract::SlotId;

use super::StepPlan;
use super::schedule::Scheduler;
use super::sequence::Sequence;
use crate::state::{Prefix, PrefixCache};

/// What can be done for a waiting sequence now.
enum Admission {
    /// Compute its prompt.
    Alone,
    /// Take the prompt's state from the running sequence that arrived as number `0`.
    Share(u64),
    /// Wait for a sequence of its group that is computing the prompt.
    Wait,
}

impl Scheduler {
    /// Gives state to waiting sequences in the order of arrival, as far as it goes. Nobody overtakes a sequence that
    /// waits for blocks; one that waits for its own group's prompt may be overtaken.
    pub(super) fn admit(&mut self, plan: &mut StepPlan) {
        let arrivals: Vec<u64> = self.waiting.keys().copied().collect();
        for arrival in arrivals {
            if self.running.len() >= self.limits.sequences {
                return;
            }
            let Some(sequence) = self.waiting.get(&arrival).filter(|sequence| !sequence.paused) else {
                continue;
            };
            let leader = match self.admission(sequence) {
                Admission::Wait => continue,
                Admission::Alone => None,
                Admission::Share(leader) => Some(leader),
            };
            let Some(mut sequence) = self.waiting.remove(&arrival) else {
                continue;
            };
            if !self.give_state(&mut sequence, leader, plan) {
                self.waiting.insert(arrival, sequence);
                return;
            }
            self.running.insert(arrival, sequence);
        }
    }

    fn admission(&self, sequence: &Sequence) -> Admission {
        if sequence.group.is_none() {
            return Admission::Alone;
        }
        let mut computing = false;
        let group = |other: &&Sequence| other.group == sequence.group;
        for (arrival, other) in &self.running {
            if !group(&other) {
                continue;
            }
            if self.limits.slots > 0 {
                // Sums over a sequence can not be taken from one that has gone further, but from its checkpoint.
                computing |= !other.checkpoints.is_empty();
            } else if other.computed < other.prompt {
                computing = true;
            } else if self.holds_prompt(other) {
                return Admission::Share(*arrival);
            }
        }
        if computing {
            Admission::Wait
        } else {
            Admission::Alone
        }
    }

    /// Whether `leader` still holds all blocks of its prompt that its last token sees.
    fn holds_prompt(&self, leader: &Sequence) -> bool {
        leader.table.given_up() <= self.limits.blocks_beyond_windows(leader.prompt - 1)
    }

    /// Reserves the blocks of `sequence`, the leader's for the prompt when there is one. The prompt's last token is
    /// computed again: its logits are wanted. All or nothing; `false` when there are too few blocks.
    fn give_state(&mut self, sequence: &mut Sequence, leader: Option<u64>, plan: &mut StepPlan) -> bool {
        let block_tokens = self.limits.block_tokens;
        let (shared, sums) = match leader.and_then(|leader| self.running.get(&leader)) {
            Some(leader) => {
                let shared = sequence.prompt - 1;
                sequence.table = leader.table.share(&mut self.pool, shared.div_ceil(block_tokens));
                (shared, None)
            }
            None => self.find_prefix(sequence),
        };
        let whole = shared / block_tokens;
        let reserved = self.limits.reserved_blocks(sequence.tokens.len());
        let free = self
            .prefixes
            .make_free(&mut self.pool, &mut self.slots, reserved - whole);
        if !free {
            sequence.evict(&mut self.pool, &mut self.slots);
            return false;
        }
        if shared > whole * block_tokens {
            let copied = sequence.table.own(&mut self.pool, whole);
            plan.copies.extend(copied.expect("free blocks were made above"));
        }
        let grown = sequence.table.grow(&mut self.pool, reserved);
        grown.expect("free blocks were made above");
        self.give_slot(sequence, sums, plan);
        if !std::mem::replace(&mut sequence.started, true) {
            plan.started.push((sequence.id, shared));
        }
        if leader.is_none() {
            self.counters.cached_tokens += shared as u64;
        }
        sequence.computed = shared;
        sequence.once_computed = sequence.once_computed.max(shared);
        true
    }

    /// Gives `sequence` a slot, that of a checkpoint when no other is left, with the sums of the checkpoint `sums` when it
    /// goes on from one.
    fn give_slot(&mut self, sequence: &mut Sequence, sums: Option<SlotId>, plan: &mut StepPlan) {
        let free = self.slots.take().or_else(|| self.prefixes.take_slot());
        let slot =
            free.expect("no more sequences run than there are slots, all others are free or checkpoints");
        // The one checkpoint that was left may be its own.
        if let Some(sums) = sums.filter(|sums| *sums != slot) {
            plan.slot_copies.push((sums, slot));
        }
        sequence.slot = Some(slot);
        // Where every slot is a running sequence's there is nothing to keep sums in.
        if !sequence.checkpoints.is_empty() && self.slots.free() + self.prefixes.kept_slots() == 0 {
            sequence.checkpoints.clear();
        }
    }

    /// Shares the blocks that the prefix cache has for the beginning of `sequence`, whose last token is computed in any
    /// case. Gives their tokens, and where the sums over them are when the graph keeps sums: then only what ends with a
    /// checkpoint is shared, and the ends of the prompt and of what it has in common with another text become checkpoints.
    fn find_prefix(&mut self, sequence: &mut Sequence) -> (usize, Option<SlotId>) {
        let block_tokens = self.limits.block_tokens;
        let tokens = &sequence.tokens[..sequence.tokens.len() - 1];
        let known = self.prefixes.find(tokens, block_tokens);
        let shared = if self.limits.slots > 0 {
            let checkpoint = known.iter().rposition(|known| known.slot.is_some());
            let shared = checkpoint.map_or(0, |last| last + 1);
            let ends = [known.len(), tokens.len() / block_tokens];
            sequence.checkpoints = ends
                .into_iter()
                .filter(|end| *end > shared)
                .map(|end| end * block_tokens)
                .collect();
            sequence.checkpoints.dedup();
            &known[..shared]
        } else {
            &known[..]
        };
        sequence.table = PrefixCache::share(&mut self.pool, shared);
        sequence.known_blocks = shared.len();
        sequence.known = shared.last().map_or(Prefix::EMPTY, |known| known.text);
        (
            shared.len() * block_tokens,
            shared.last().and_then(|known| known.slot),
        )
    }
}
