//! The largest shape that fits: how many positions a sequence, and how many sequences at once.

use mains_contract::{Bytes, DriverFacts, FootprintModel, StepLimits};
use mains_types::{ModelFacts, PlanBytes};

/// Sequences at once where nobody says: a team at one box, and as many rows as make a matrix product worth its loads.
pub const DEFAULT_PARALLEL: u32 = 8;

/// Sequences at once at the most: beyond it a step's rows are all taken by decoding.
pub const MAX_PARALLEL: u32 = 256;

/// Rows of a step: enough for a prompt's chunk to be bound by arithmetic instead of memory, few enough that a chunk
/// stalls the others for a moment only.
pub const STEP_ROWS: u32 = 512;

/// Positions below which no context is chosen where nobody says: a system prompt and one question.
pub const MIN_CONTEXT: u32 = 512;

/// Positions of a sequence and sequences at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub(crate) context: u32,
    pub(crate) parallel: u32,
}

/// What a shape costs for one model on one driver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs<'a> {
    pub(crate) facts: &'a ModelFacts,
    pub(crate) footprint: &'a FootprintModel,
    pub(crate) driver: &'a DriverFacts,
}

impl Costs<'_> {
    /// The limits of a load of `shape`, or `None` when its blocks can not be numbered. Every sequence may have its full
    /// context at once, so that nothing is preempted for want of blocks.
    pub(crate) fn limits(&self, shape: Shape) -> Option<StepLimits> {
        let block_tokens = self.facts.block_tokens.max(1);
        let blocks = shape.parallel.checked_mul(shape.context.div_ceil(block_tokens))?;
        Some(StepLimits {
            rows: STEP_ROWS.max(shape.parallel) as usize,
            output_rows: shape.parallel as usize,
            context: shape.context as usize,
            blocks: blocks as usize,
            block_tokens: block_tokens as usize,
            slots: shape.parallel as usize,
        })
    }

    /// The bytes of `shape`. Grows with both of its numbers.
    pub(crate) fn bytes(&self, shape: Shape) -> PlanBytes {
        let runtime = self.facts.runtime;
        let Some(limits) = self.limits(shape) else {
            return PlanBytes {
                state: Bytes(u64::MAX),
                runtime,
                ..PlanBytes::default()
            };
        };
        let footprint = self.footprint.at(&limits, self.driver.threads);
        PlanBytes {
            weights: footprint.weights,
            state: footprint.state,
            activations: footprint.activations,
            scratch: footprint.scratch,
            runtime,
        }
    }

    pub(crate) fn fits(&self, shape: Shape, memory: Bytes) -> bool {
        self.limits(shape).is_some() && self.bytes(shape).total() <= memory
    }

    /// The largest context from `least` to `most` that fits with `parallel` sequences.
    pub(crate) fn largest_context(&self, least: u32, most: u32, parallel: u32, memory: Bytes) -> Option<u32> {
        largest(least, most, |context| {
            self.fits(Shape { context, parallel }, memory)
        })
    }

    /// The most sequences up to `most` that fit with `context` positions each.
    pub(crate) fn most_parallel(&self, context: u32, most: u32, memory: Bytes) -> Option<u32> {
        largest(1, most, |parallel| self.fits(Shape { context, parallel }, memory))
    }
}

/// The largest value from `least` to `most` for which `fits` holds, where it holds for all below one that it holds for.
fn largest(least: u32, most: u32, fits: impl Fn(u32) -> bool) -> Option<u32> {
    if least > most || !fits(least) {
        return None;
    }
    let (mut good, mut bound) = (least, most);
    while good < bound {
        let middle = good + (bound - good).div_ceil(2);
        if fits(middle) {
            good = middle;
        } else {
            bound = middle - 1;
        }
    }
    Some(good)
}

/// The least context that is chosen for a model unasked.
pub(crate) fn least_context(facts: &ModelFacts) -> u32 {
    MIN_CONTEXT.min(facts.context)
}

/// The shape for what is demanded, as large as fits where nothing is.
pub(crate) fn choose(
    costs: &Costs<'_>,
    context: Option<u32>,
    parallel: Option<u32>,
    memory: Bytes,
) -> Option<Shape> {
    let context = match context {
        Some(context) => context,
        None => costs.largest_context(
            least_context(costs.facts),
            costs.facts.context,
            parallel.unwrap_or(1),
            memory,
        )?,
    };
    let parallel = match parallel {
        Some(parallel) => parallel,
        None => costs.most_parallel(context, DEFAULT_PARALLEL, memory)?,
    };
    let shape = Shape { context, parallel };
    costs.fits(shape, memory).then_some(shape)
}
