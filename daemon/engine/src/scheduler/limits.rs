//! What a step and the state have room for.

use mains_contract::StepLimits;

/// Bounds of the scheduler, checked to leave room for one sequence of full context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulerLimits {
    /// Rows of a step.
    pub(super) rows: usize,
    /// Sequences that hold state at once.
    pub(super) sequences: usize,
    /// Positions of one sequence.
    pub(super) context: usize,
    /// Blocks of state.
    pub(super) blocks: u32,
    /// Positions in a block.
    pub(super) block_tokens: usize,
    /// Slots of per-sequence state; 0 when there is no such state.
    pub(super) slots: u32,
    /// Positions that are ever read again, the newest included; all when absent.
    pub(super) window: Option<usize>,
}

impl SchedulerLimits {
    /// The scheduler's bounds under a load's `limits`, for a graph that reads the last `window` positions
    /// ([`mains_contract::Graph::window`]). At most one sequence fewer runs than a step has rows, so that a
    /// prompt gets on while all others decode.
    ///
    /// # Errors
    /// A sentence when there is no room for one sequence of full context.
    pub fn new(limits: &StepLimits, window: Option<usize>) -> Result<Self, String> {
        let StepLimits {
            rows,
            output_rows,
            context,
            blocks,
            block_tokens,
            slots,
        } = *limits;
        if [rows, output_rows, context, blocks, block_tokens].contains(&0) {
            return Err(format!("no limit of a step may be 0: {limits:?}"));
        }
        let needed = context.div_ceil(block_tokens);
        let count = u32::try_from(blocks).map_err(|_| format!("{blocks} blocks of state, at most 2^32"))?;
        if blocks < needed {
            return Err(format!(
                "{blocks} blocks of {block_tokens} positions do not hold one sequence of {context}: {needed} are needed"
            ));
        }
        let most = if slots == 0 { usize::MAX } else { slots };
        Ok(Self {
            rows,
            sequences: output_rows.min((rows - 1).max(1)).min(most),
            slots: u32::try_from(slots).map_err(|_| format!("{slots} slots of state, at most 2^32"))?,
            context,
            blocks: count,
            block_tokens,
            window,
        })
    }

    /// Blocks at the beginning of a sequence that nothing reads again once `computed` positions are.
    pub(super) fn blocks_beyond_windows(&self, computed: usize) -> usize {
        // The next position sees itself and those before it.
        let beyond = |window: usize| (computed + 1).saturating_sub(window) / self.block_tokens;
        self.window.map_or(0, beyond)
    }

    /// Blocks for `positions` positions and one block more, at most those of a full context.
    pub(super) fn reserved_blocks(&self, positions: usize) -> usize {
        let full = self.context.div_ceil(self.block_tokens);
        (positions.div_ceil(self.block_tokens) + 1).min(full)
    }
}
