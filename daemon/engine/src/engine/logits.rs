//! Logits of every position of a text: the check of a model against any reference.

use mains_contract::{BlockId, LoadedModel, SequenceSpan, SlotId, Step, StepLimits};

use super::EngineError;

/// Rows of one step: enough to use a matrix again and again, few enough that their logits fit a cache of the host.
const CHUNK_ROWS: usize = 64;

/// Positions in a block. There is one sequence, so nothing depends on it.
const BLOCK_TOKENS: usize = 16;

/// Limits to load a model under for texts of up to `tokens` tokens, one at a time.
#[must_use]
pub fn logits_limits(tokens: usize) -> StepLimits {
    let rows = tokens.clamp(1, CHUNK_ROWS);
    StepLimits {
        rows,
        output_rows: rows,
        context: tokens.max(1),
        blocks: tokens.max(1).div_ceil(BLOCK_TOKENS),
        block_tokens: BLOCK_TOKENS,
        slots: 1,
    }
}

/// The logits after each token of `ids`, `ids.len() x vocabulary`, in chunks of as many rows as `limits` allow. The state
/// of any sequence on `loaded` is overwritten.
///
/// # Errors
/// [`EngineError::Driver`] when `ids` is longer than the limits' context, holds an id beyond the vocabulary, or the
/// device fails.
pub fn logits_of(
    loaded: &mut dyn LoadedModel,
    limits: &StepLimits,
    vocabulary: usize,
    ids: &[u32],
) -> Result<Vec<f32>, EngineError> {
    let blocks: Vec<BlockId> = (0..).take(limits.blocks).map(BlockId).collect();
    let chunk_rows = limits.rows.min(limits.output_rows).max(1);
    let mut logits = vec![0.0; ids.len() * vocabulary];
    let mut position = 0;
    for (tokens, out) in ids
        .chunks(chunk_rows)
        .zip(logits.chunks_mut(chunk_rows * vocabulary))
    {
        let rows: Vec<u32> = (0..).take(tokens.len()).collect();
        let positions: Vec<u32> = rows.iter().map(|row| position + row).collect();
        let span = SequenceSpan {
            first_row: 0,
            rows: count(tokens.len()),
            blocks: &blocks,
            slot: SlotId(0),
        };
        let step = Step {
            tokens,
            positions: &positions,
            sequences: &[span],
            output_rows: &rows,
            inputs: &[],
        };
        loaded.run(&step, out)?;
        position += count(tokens.len());
    }
    Ok(logits)
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).expect("rows of a step are bounded by its limits, far below 2^32")
}
