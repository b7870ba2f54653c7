//! Which waiting sequences get state.

use super::StepPlan;
use super::schedule::Scheduler;
use super::sequence::Sequence;

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
        // Sums over a sequence cannot be taken from one that has gone further.
        if sequence.group.is_none() || self.limits.slots > 0 {
            return Admission::Alone;
        }
        let mut computing = false;
        for (arrival, other) in &self.running {
            if other.group == sequence.group {
                if other.computed >= other.prompt {
                    return Admission::Share(*arrival);
                }
                computing = true;
            }
        }
        if computing {
            Admission::Wait
        } else {
            Admission::Alone
        }
    }

    /// Reserves the blocks of `sequence`, the leader's for the prompt when there is one. The prompt's last token is
    /// computed again: its logits are wanted. All or nothing; `false` when there are too few blocks.
    fn give_state(&mut self, sequence: &mut Sequence, leader: Option<u64>, plan: &mut StepPlan) -> bool {
        let block_tokens = self.limits.block_tokens;
        let shared = match leader.and_then(|leader| self.running.get(&leader)) {
            Some(leader) => {
                let shared = sequence.prompt - 1;
                sequence.table = leader.table.share(&mut self.pool, shared.div_ceil(block_tokens));
                shared
            }
            None => self.find_prefix(sequence),
        };
        let whole = shared / block_tokens;
        let reserved = self.limits.reserved_blocks(sequence.tokens.len());
        if !self.prefixes.make_free(&mut self.pool, reserved - whole) {
            sequence.evict(&mut self.pool, &mut self.slots);
            return false;
        }
        if shared > whole * block_tokens {
            let copied = sequence.table.own(&mut self.pool, whole);
            plan.copies.extend(copied.expect("free blocks were made above"));
        }
        let grown = sequence.table.grow(&mut self.pool, reserved);
        grown.expect("free blocks were made above");
        if !std::mem::replace(&mut sequence.started, true) {
            plan.started.push((sequence.id, shared));
        }
        if leader.is_none() {
            self.counters.cached_tokens += shared as u64;
        }
        sequence.computed = shared;
        sequence.once_computed = sequence.once_computed.max(shared);
        sequence.slot = self.slots.take();
        debug_assert!(
            sequence.slot.is_some(),
            "no more sequences run than there are slots"
        );
        true
    }

    /// Shares the blocks that the prefix cache has for the beginning of `sequence`, whose last token is computed in any
    /// case. Gives their tokens.
    fn find_prefix(&mut self, sequence: &mut Sequence) -> usize {
        if !self.limits.shares_prefixes() {
            return 0;
        }
        let block_tokens = self.limits.block_tokens;
        let tokens = &sequence.tokens[..sequence.tokens.len() - 1];
        let (table, known) = self.prefixes.find(&mut self.pool, tokens, block_tokens);
        sequence.known_blocks = table.blocks().len();
        sequence.known = known;
        sequence.table = table;
        sequence.known_blocks * block_tokens
    }
}
