//! The largest shape that fits: how many positions a sequence, and how many sequences at once.

use std::rc::Rc;

use mains_contract::{BlockFormat, Bytes, Footprint, StepLimits};
use mains_types::{ModelFacts, PlanBytes};

use crate::adds::Adds;
use crate::cut::Run;
use crate::rooms::Rooms;

/// Sequences at once where nobody says: a team at one box, and as many rows as make a matrix product worth its loads.
pub const DEFAULT_PARALLEL: u32 = 8;

/// Sequences at once at the most: beyond it a step's rows are all taken by decoding.
pub const MAX_PARALLEL: u32 = 256;

/// Rows of a step: enough for a prompt's chunk to be bound by arithmetic instead of memory, few enough that a chunk
/// stalls the others for a moment only.
pub const STEP_ROWS: u32 = 512;

/// Positions below which no context is chosen where nobody says: a system prompt and one question.
pub const MIN_CONTEXT: u32 = 512;

/// Positions above which no context is chosen where nobody says: a report of 60 pages. Models are made for up to a million,
/// which would leave nothing for other sequences and better types.
pub const MAX_DEFAULT_CONTEXT: u32 = 32_768;

/// Positions of a sequence and sequences at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub(crate) context: u32,
    pub(crate) parallel: u32,
}

/// What shapes cost for one model in one choice of types on its devices.
#[derive(Debug, Clone)]
pub(crate) struct Costs<'a> {
    pub(crate) facts: &'a ModelFacts,
    pub(crate) rooms: Rc<Rooms<'a>>,
    /// Type of cached keys and values.
    pub(crate) kv: BlockFormat,
    pub(crate) adds: Rc<Adds>,
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

    /// The bytes of `shape`: as it is cut, or all on the first device where it does not fit. Grows with both of its numbers.
    pub(crate) fn bytes(&self, shape: Shape) -> PlanBytes {
        let Some(limits) = self.limits(shape) else {
            return PlanBytes {
                state: Bytes(u64::MAX),
                ..PlanBytes::default()
            };
        };
        match self.cut(shape) {
            Some(runs) => self.bytes_of(&runs, &limits),
            None => self.bytes_of(&self.whole(&limits), &limits),
        }
    }

    /// The bytes of `runs`, with the rows between them.
    pub(crate) fn bytes_of(&self, runs: &[Run], limits: &StepLimits) -> PlanBytes {
        let arenas: Footprint = runs.iter().map(|run| run.bytes).sum();
        let crossed = runs
            .iter()
            .skip(1)
            .map(|run| self.border_bytes(run.first - 1, limits));
        PlanBytes {
            weights: arenas.weights,
            state: arenas.state,
            activations: arenas.activations + crossed.sum(),
            scratch: arenas.scratch,
            runtime: self.facts.runtime.at(limits),
        }
    }

    pub(crate) fn fits(&self, shape: Shape) -> bool {
        self.cut(shape).is_some()
    }

    /// The least memory of each device, the host's included, in which `shape` fits.
    pub(crate) fn needs(&self, shape: Shape) -> Option<Bytes> {
        let limits = self.limits(shape)?;
        let most = self.bytes_of(&self.whole(&limits), &limits).total();
        let (mut short, mut enough) = (0, most.0);
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            if self.fill(&limits, |_| Bytes(middle)).is_some() {
                enough = middle;
            } else {
                short = middle;
            }
        }
        let outside = self.rooms.host.room.is_none();
        let beside = self.beside(&limits);
        let needed = if outside {
            beside.max(Bytes(enough))
        } else {
            Bytes(enough)
        };
        (needed < Bytes(u64::MAX)).then_some(needed)
    }

    /// The largest context from `least` to `most` that fits with `parallel` sequences.
    pub(crate) fn largest_context(&self, least: u32, most: u32, parallel: u32) -> Option<u32> {
        largest(least, most, |context| self.fits(Shape { context, parallel }))
    }

    /// The most sequences from `least` up to `most` that fit with `context` positions each.
    pub(crate) fn most_parallel(&self, context: u32, least: u32, most: u32) -> Option<u32> {
        largest(least, most, |parallel| self.fits(Shape { context, parallel }))
    }

    /// The shape for what is asked, as large as fits where nothing is: first the context, then the sequences, each from
    /// what `least` says on.
    pub(crate) fn largest_shape(&self, asked: &AskedShape, least: Shape) -> Option<Shape> {
        let context = match asked.context {
            Some(context) => context,
            None => {
                let most = default_context(self.facts).max(least.context);
                self.largest_context(least.context, most, asked.parallel.unwrap_or(least.parallel))?
            }
        };
        let parallel = match asked.parallel {
            Some(parallel) => parallel,
            None => self.most_parallel(context, least.parallel, DEFAULT_PARALLEL.max(least.parallel))?,
        };
        let shape = Shape { context, parallel };
        self.fits(shape).then_some(shape)
    }
}

/// A shape as far as somebody asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AskedShape {
    pub(crate) context: Option<u32>,
    pub(crate) parallel: Option<u32>,
}

impl AskedShape {
    /// What was asked for, and the least of what was not.
    pub(crate) fn least(&self, facts: &ModelFacts) -> Shape {
        Shape {
            context: self.context.unwrap_or_else(|| MIN_CONTEXT.min(facts.context)),
            parallel: self.parallel.unwrap_or(1),
        }
    }
}

/// The largest context that is chosen for a model unasked.
pub(crate) fn default_context(facts: &ModelFacts) -> u32 {
    MAX_DEFAULT_CONTEXT.min(facts.context)
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
