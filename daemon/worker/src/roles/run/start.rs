//! What is said when a request's first step was computed.

use mains_engine::SequenceId;
use mains_types::{Choice, Started};
use mains_wire::frames::FromWorker;

use super::requests::text_frames;

/// A request that waits for its first step.
pub(super) struct Start {
    /// What will be said. Of prompts that begin in a later step nothing counts as cached.
    pub(super) started: Started,
    /// Text that each choice begins with.
    pub(super) echoes: Vec<String>,
    /// The first sequence of each prompt: the others go on from it.
    pub(super) leaders: Vec<SequenceId>,
}

impl Start {
    /// Counts that the state of `tokens` prompt tokens of the sequence `id` was there already.
    pub(super) fn count_cached(&mut self, id: SequenceId, tokens: usize) {
        if self.leaders.contains(&id) {
            let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
            self.started.cached_tokens = self.started.cached_tokens.saturating_add(tokens);
        }
    }

    /// The frames for the request called `number`.
    pub(super) fn frames(self, number: u64) -> Vec<FromWorker> {
        let started = self.started;
        let mut frames = vec![FromWorker::Started { number, started }];
        for (choice, echo) in (0..).map(Choice).zip(self.echoes) {
            frames.extend(text_frames(number, choice, &echo));
        }
        frames
    }
}
