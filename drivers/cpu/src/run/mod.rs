//! A loaded graph, run node by node.

mod attention;
mod experts;
mod moves;
mod operations;
mod products;
mod recurrent;
mod values;

use std::ops::Range;
use std::sync::Arc;

use mains_contract::{
    BlockId, DriverError, Footprint, Graph, LoadedModel, SequenceState, SlotId, Step, StepLimits, ValueId,
    WeightSource,
};

use crate::arena::{Arena, padded, zeroed};
use crate::isa::Detected;
use crate::kernels::{QuantizedRows, SCORE_QUERIES, fill_angles};
use crate::load::Weights;
use crate::plan::{Plan, SCORE_SLACK, angle_numbers};
use crate::pool::Pool;
use crate::state::State;
use values::{Out, Values};

/// A graph with its weights, its state and room for steps.
pub(crate) struct CpuModel {
    graph: Arc<Graph>,
    plan: Plan,
    limits: StepLimits,
    isa: Detected,
    pool: Pool,
    weights: Weights,
    states: Vec<State>,
    values: Values,
    /// A table a list of inverse frequencies: a row of angles a row of the step.
    angles: Vec<Arena>,
    quantized: QuantizedRows,
    /// The value of this step that `quantized` holds, and the parts of its rows.
    quantized_value: Option<(ValueId, usize)>,
    scratch: Scratch,
}

/// Working memory of kernels; what threads have, each has an equal share of.
struct Scratch {
    /// Scores of attention.
    scores: Vec<f32>,
    /// Queries of attention, or a key or value, rotated.
    rotated: Vec<f32>,
    /// Unpacked weights.
    panels: Arena,
    /// Scores of experts.
    route: Vec<f64>,
    /// Sums of a convolution.
    convolution: Arena,
    /// Slots of a route, those of one expert after those of another.
    slots: Vec<u32>,
    /// Where those of each expert begin.
    starts: Vec<u32>,
}

impl Scratch {
    fn new(plan: &Plan, limits: &StepLimits, threads: usize) -> Result<Self, DriverError> {
        let what = "working memory";
        let most = &plan.scratch;
        let scores = threads * SCORE_QUERIES * limits.context.saturating_add(SCORE_SLACK);
        Ok(Self {
            scores: zeroed(scores, "attention scores")?,
            rotated: zeroed(threads * SCORE_QUERIES * most.rotated, what)?,
            panels: Arena::new(threads.saturating_mul(most.panel_bytes), what)?,
            route: zeroed(threads * most.route_numbers, what)?,
            convolution: Arena::new(threads * padded(most.convolution) * size_of::<f32>(), what)?,
            slots: zeroed(limits.rows.saturating_mul(most.slots), what)?,
            starts: zeroed(most.expert_starts, what)?,
        })
    }

    fn size(&self) -> mains_contract::Bytes {
        let vectors = size_of_val(self.scores.as_slice())
            + size_of_val(self.rotated.as_slice())
            + size_of_val(self.route.as_slice())
            + size_of_val(self.slots.as_slice())
            + size_of_val(self.starts.as_slice());
        self.panels.size() + self.convolution.size() + vectors.into()
    }
}

impl CpuModel {
    /// Copies all weights and allocates for steps under `limits`.
    ///
    /// # Errors
    /// [`DriverError`] when a weight does not fit, memory runs out or the system refuses a thread.
    pub(crate) fn load(
        graph: Arc<Graph>,
        plan: Plan,
        source: &dyn WeightSource,
        limits: &StepLimits,
        isa: Detected,
        threads: usize,
    ) -> Result<Self, DriverError> {
        if limits.block_tokens == 0 {
            return Err(DriverError::Limits(
                "a block of state must have positions".to_owned(),
            ));
        }
        let number_bytes = size_of::<f32>();
        let states: Result<_, _> = graph
            .states()
            .iter()
            .map(|spec| State::new(spec, limits))
            .collect();
        let angles = plan.angles.iter().map(|table| {
            let row_bytes = angle_numbers(table.inverse_frequencies.len()) * number_bytes;
            Arena::new(limits.rows.saturating_mul(row_bytes), "angles of rotations")
        });
        let pool = Pool::new(threads)?;
        Ok(Self {
            limits: *limits,
            isa,
            weights: Weights::load(&graph, &plan, source, &pool)?,
            pool,
            states: states?,
            values: Values::new(&graph, &plan, limits)?,
            angles: angles.collect::<Result<_, _>>()?,
            quantized: QuantizedRows::new(limits.rows, plan.scratch.quantized_bytes)?,
            quantized_value: None,
            scratch: Scratch::new(&plan, limits, threads)?,
            graph,
            plan,
        })
    }

    fn check(&self, step: &Step<'_>, out: &[f32]) -> Result<(), DriverError> {
        step.check(&self.limits)?;
        step.check_for(&self.graph)?;
        let wanted = self
            .graph
            .output_ranges(step)
            .last()
            .map_or(0, |(_, range)| range.end);
        if out.len() == wanted {
            return Ok(());
        }
        Err(DriverError::Limits(format!(
            "room for {} numbers of outputs, the step gives {wanted}",
            out.len()
        )))
    }

    fn fill_angles(&mut self, step: &Step<'_>) {
        for (table, angles) in self.plan.angles.iter().zip(&mut self.angles) {
            let numbers = angle_numbers(table.inverse_frequencies.len());
            let rows = angles.numbers_mut().chunks_exact_mut(numbers.max(1));
            for (position, row) in step.positions.iter().zip(rows) {
                fill_angles(&table.inverse_frequencies, table.scale, *position, row);
            }
        }
    }

    fn check_blocks<'a>(&self, blocks: impl IntoIterator<Item = &'a BlockId>) -> Result<(), DriverError> {
        let limit = self.limits.blocks;
        match blocks.into_iter().find(|block| block.0 as usize >= limit) {
            Some(beyond) => Err(DriverError::Limits(format!(
                "block {}, there are {limit}",
                beyond.0
            ))),
            None => Ok(()),
        }
    }

    fn check_slots<'a>(&self, slots: impl IntoIterator<Item = &'a SlotId>) -> Result<(), DriverError> {
        let limit = self.limits.slots;
        match slots.into_iter().find(|slot| slot.0 as usize >= limit.max(1)) {
            Some(beyond) => Err(DriverError::Limits(format!(
                "slot {}, there are {limit}",
                beyond.0
            ))),
            None => Ok(()),
        }
    }
}

impl LoadedModel for CpuModel {
    fn footprint(&self) -> Footprint {
        Footprint {
            weights: self.weights.size(),
            state: self.states.iter().map(State::size).sum(),
            activations: self.values.size(),
            scratch: self.quantized.size() + self.angles.iter().map(Arena::size).sum() + self.scratch.size(),
        }
    }

    fn run(&mut self, step: &Step<'_>, out: &mut [f32]) -> Result<(), DriverError> {
        self.check(step, out)?;
        self.fill_angles(step);
        self.quantized_value = None;
        let graph = Arc::clone(&self.graph);
        let ranges: Vec<Range<usize>> = graph.output_ranges(step).map(|(_, range)| range).collect();
        for (index, node) in graph.nodes().iter().enumerate() {
            match self.values.take(index) {
                Err(output) => {
                    let out = Out {
                        numbers: &mut out[ranges[output].clone()],
                        stride: node.width,
                        width: node.width,
                    };
                    self.node(index, node, step, out);
                }
                Ok(mut arena) => {
                    let out = Out {
                        numbers: arena.numbers_mut(),
                        stride: padded(node.width),
                        width: node.width,
                    };
                    self.node(index, node, step, out);
                    self.values.put_back(index, arena);
                }
            }
        }
        for ((_, value), range) in graph.outputs().iter().zip(ranges) {
            if let Some(rows) = self.values.stored(*value) {
                for (row, out) in out[range].chunks_exact_mut(rows.width).enumerate() {
                    out.copy_from_slice(rows.row(row));
                }
            }
        }
        Ok(())
    }

    fn copy_blocks(&mut self, pairs: &[(BlockId, BlockId)]) -> Result<(), DriverError> {
        self.check_blocks(pairs.iter().flat_map(|(from, to)| [from, to]))?;
        for (from, to) in pairs {
            for state in &mut self.states {
                state.copy_block(*from, *to);
            }
        }
        Ok(())
    }

    fn copy_slots(&mut self, pairs: &[(SlotId, SlotId)]) -> Result<(), DriverError> {
        self.check_slots(pairs.iter().flat_map(|(from, to)| [from, to]))?;
        for (from, to) in pairs {
            for state in &mut self.states {
                state.copy_slot(*from, *to);
            }
        }
        Ok(())
    }

    fn snapshot(&mut self, state: &SequenceState<'_>) -> Result<Vec<u8>, DriverError> {
        self.check_blocks(state.blocks)?;
        self.check_slots([&state.slot])?;
        let sizes = self
            .states
            .iter()
            .map(|own| own.snapshot_bytes(state.blocks.len()));
        let mut bytes = Vec::with_capacity(sizes.sum());
        for own in &mut self.states {
            own.visit(state.blocks, state.slot, |run| bytes.extend_from_slice(run));
        }
        Ok(bytes)
    }

    fn restore(&mut self, snapshot: &[u8], state: &SequenceState<'_>) -> Result<(), DriverError> {
        self.check_blocks(state.blocks)?;
        self.check_slots([&state.slot])?;
        let sizes = self
            .states
            .iter()
            .map(|own| own.snapshot_bytes(state.blocks.len()));
        let wanted: usize = sizes.sum();
        if snapshot.len() != wanted {
            return Err(DriverError::Limits(format!(
                "a snapshot of {} bytes, {} blocks and a slot take {wanted}",
                snapshot.len(),
                state.blocks.len()
            )));
        }
        let mut rest = snapshot;
        for own in &mut self.states {
            own.visit(state.blocks, state.slot, |run| {
                let (these, after) = rest.split_at(run.len());
                run.copy_from_slice(these);
                rest = after;
            });
        }
        Ok(())
    }
}
