//! Steps of prompts and of answers.

use std::time::{Duration, Instant};

use mains_contract::{BlockId, DriverError, LoadedModel, SequenceSpan, SlotId, Step, StepLimits};
use nix::time::{ClockId, clock_gettime};

/// Tokens in a block of state.
const BLOCK_TOKENS: usize = 16;
/// Tokens that one sequence may have.
const CONTEXT: usize = 2048;
/// Sequences at once.
const SEQUENCES: usize = 16;
/// As the daemon plans them: 512 rows a step.
pub(crate) const LIMITS: StepLimits = StepLimits {
    rows: 512,
    output_rows: SEQUENCES,
    context: CONTEXT,
    blocks: SEQUENCES * CONTEXT / BLOCK_TOKENS,
    block_tokens: BLOCK_TOKENS,
    slots: SEQUENCES,
};

/// A model with room for what it is fed and what it says.
pub(crate) struct Steps<M> {
    model: M,
    vocabulary: usize,
    logits: Vec<f32>,
}

/// Wall time and time of all threads, in seconds.
type Seconds = (f64, f64);

impl Steps<Box<dyn LoadedModel>> {
    pub(crate) fn new(model: Box<dyn LoadedModel>, vocabulary: usize) -> Self {
        Self {
            model,
            vocabulary,
            logits: vec![0.0; SEQUENCES * vocabulary],
        }
    }

    /// A prompt of `tokens` tokens, with the logits of the last.
    pub(crate) fn prefill(&mut self, tokens: u32) -> Result<Seconds, Box<dyn std::error::Error>> {
        if tokens == 0 || tokens as usize > CONTEXT {
            return Err(format!("a prompt has 1 to {CONTEXT} tokens").into());
        }
        timed(|| {
            let mut first = 0;
            while first < tokens {
                let end = tokens.min(first + LIMITS.rows as u32);
                let wanted: &[u32] = if end == tokens { &[end - first - 1] } else { &[] };
                self.step(std::slice::from_ref(&(first..end)), wanted)?;
                first = end;
            }
            Ok(())
        })
    }

    /// `tokens` tokens for each of `sequences`, one a step.
    pub(crate) fn decode(
        &mut self,
        tokens: u32,
        sequences: u32,
    ) -> Result<Seconds, Box<dyn std::error::Error>> {
        if tokens as usize > CONTEXT || sequences as usize > SEQUENCES {
            return Err(format!("at most {SEQUENCES} sequences of {CONTEXT} tokens").into());
        }
        let wanted: Vec<u32> = (0..sequences).collect();
        timed(|| {
            for position in 0..tokens {
                let spans: Vec<_> = wanted.iter().map(|_| position..position + 1).collect();
                self.step(&spans, &wanted)?;
            }
            Ok(())
        })
    }

    /// One step of as many sequences as `spans`, each with these positions.
    fn step(&mut self, spans: &[std::ops::Range<u32>], output_rows: &[u32]) -> Result<(), DriverError> {
        let per_sequence = (CONTEXT / BLOCK_TOKENS) as u32;
        let blocks: Vec<BlockId> = (0..per_sequence * SEQUENCES as u32).map(BlockId).collect();
        let positions: Vec<u32> = spans.iter().cloned().flatten().collect();
        // What is said changes no time; neighbours differ so that rows of the table are read as in a text.
        let tokens: Vec<u32> = positions.iter().map(|at| 8 + at * 37 % 1500).collect();
        let mut first_row = 0;
        let mut sequences = Vec::with_capacity(spans.len());
        for (slot, span) in (0..).zip(spans) {
            let own = (slot * per_sequence) as usize;
            let rows = span.end - span.start;
            sequences.push(SequenceSpan {
                first_row,
                rows,
                blocks: &blocks[own..own + (span.end as usize).div_ceil(BLOCK_TOKENS)],
                slot: SlotId(slot),
            });
            first_row += rows;
        }
        let step = Step {
            tokens: &tokens,
            positions: &positions,
            sequences: &sequences,
            output_rows,
            inputs: &[],
        };
        self.model
            .run(&step, &mut self.logits[..output_rows.len() * self.vocabulary])
    }
}

fn timed(run: impl FnOnce() -> Result<(), DriverError>) -> Result<Seconds, Box<dyn std::error::Error>> {
    let cpu_start = processor_time()?;
    let start = Instant::now();
    run()?;
    let wall = start.elapsed();
    Ok((wall.as_secs_f64(), (processor_time()? - cpu_start).as_secs_f64()))
}

fn processor_time() -> nix::Result<Duration> {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from)
}
