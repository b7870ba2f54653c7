//! Which rows of which sequences the next step computes. Pure: no driver, no clock.
//!
//! Each step first gives a row to every sequence that waits for its next token, then fills up with prompts in chunks, in
//! the order of arrival (continuous batching, OSDI 2022 "Orca"; chunked prefill, arXiv 2403.02310). Admission reserves the
//! prompt and one block. When blocks run out the youngest sequence is preempted: it gives up its blocks, keeps its
//! tokens, and is computed again later. The oldest sequence always goes on, so every sequence ends.
//!
//! A sequence that is admitted goes on from the blocks that the prefix cache knows for its beginning, its own from before
//! a preemption among them. Where a graph keeps sums over a sequence too (linear attention) blocks are only a part of
//! the state: there it goes on from a checkpoint. Slots that no running sequence needs hold checkpoints, copies that are
//! made at the end of a prompt's last whole block and where a prompt leaves what it has in common with an earlier one.
//!
//! Where all attention is windowed, blocks that are beyond every window of a sequence go to others.

mod admission;
mod limits;
mod plan;
mod schedule;
mod sequence;
#[cfg(test)]
mod tests;

pub use limits::SchedulerLimits;
pub use plan::{PlannedSpan, StepPlan};
pub use schedule::{Counters, Scheduler};
pub use sequence::{NewSequence, SequenceId};
