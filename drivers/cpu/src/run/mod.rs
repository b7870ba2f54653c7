//! A loaded graph, run node by node.

mod attention;
mod operations;
mod values;

use std::sync::Arc;

use mains_contract::{
    BlockId, DriverError, Footprint, Graph, LoadedModel, Node, OutputName, SequenceState, SlotId, Step,
    StepLimits, Unsupported, ValueId, WeightSource,
};

use crate::arena::{Arena, padded, zeroed};
use crate::isa::Detected;
use crate::kernels::{QuantizedRows, SCORE_HEADS, fill_angles};
use crate::load::Weights;
use crate::plan::{Plan, SCORE_SLACK, angle_numbers};
use crate::pool::Pool;
use crate::state::TokenState;
use values::{Out, Values};

/// A graph with its weights, its state and room for steps.
pub(crate) struct CpuModel {
    graph: Arc<Graph>,
    plan: Plan,
    limits: StepLimits,
    isa: Detected,
    pool: Pool,
    weights: Weights,
    states: Vec<TokenState>,
    values: Values,
    /// A table a list of inverse frequencies: a row of angles a row of the step.
    angles: Vec<Arena>,
    quantized: QuantizedRows,
    /// The value of this step that `quantized` holds.
    quantized_value: Option<ValueId>,
    /// Each thread's scores of attention.
    scores: Vec<f32>,
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
            .map(|spec| TokenState::new(spec, limits))
            .collect();
        let angles = plan.angles.iter().map(|table| {
            let row_bytes = angle_numbers(table.len()) * number_bytes;
            Arena::new(limits.rows.saturating_mul(row_bytes), "angles of rotations")
        });
        let scores = threads * SCORE_HEADS * (limits.context.saturating_add(SCORE_SLACK));
        Ok(Self {
            limits: *limits,
            isa,
            pool: Pool::new(threads)?,
            weights: Weights::load(&graph, &plan, source)?,
            states: states?,
            values: Values::new(&graph, &plan, limits)?,
            angles: angles.collect::<Result<_, _>>()?,
            quantized: QuantizedRows::new(limits.rows, plan.quantized_cols)?,
            quantized_value: None,
            scores: zeroed(scores, "attention scores")?,
            graph,
            plan,
        })
    }

    fn check(&self, step: &Step<'_>, logits: &[f32]) -> Result<(), DriverError> {
        step.check(&self.limits)?;
        step.check_for(&self.graph)?;
        let wanted = step.output_rows.len() * self.logits().1.width;
        if logits.len() == wanted {
            Ok(())
        } else {
            Err(DriverError::Limits(format!(
                "room for {} logits, the step gives {wanted}",
                logits.len()
            )))
        }
    }

    fn logits(&self) -> (ValueId, &Node) {
        let value = self.graph.output(OutputName::Logits);
        let value = value.expect("the driver loads no graph without logits");
        (value, self.graph.node(value))
    }

    fn fill_angles(&mut self, step: &Step<'_>) {
        for (table, angles) in self.plan.angles.iter().zip(&mut self.angles) {
            let rows = angles
                .numbers_mut()
                .chunks_exact_mut(angle_numbers(table.len()).max(1));
            for (position, row) in step.positions.iter().zip(rows) {
                fill_angles(table, *position, row);
            }
        }
    }
}

impl LoadedModel for CpuModel {
    fn footprint(&self) -> Footprint {
        Footprint {
            weights: self.weights.size(),
            state: self.states.iter().map(TokenState::size).sum(),
            activations: self.values.size(),
            scratch: self.quantized.size()
                + self.angles.iter().map(Arena::size).sum()
                + size_of_val(self.scores.as_slice()).into(),
        }
    }

    fn run(&mut self, step: &Step<'_>, logits: &mut [f32]) -> Result<(), DriverError> {
        self.check(step, logits)?;
        self.fill_angles(step);
        self.quantized_value = None;
        let graph = Arc::clone(&self.graph);
        for (index, node) in graph.nodes().iter().enumerate() {
            match self.values.take(index) {
                None => {
                    let stride = node.width;
                    self.node(
                        index,
                        node,
                        step,
                        Out {
                            numbers: logits,
                            stride,
                        },
                    );
                }
                Some(mut arena) => {
                    let stride = padded(node.width);
                    self.node(
                        index,
                        node,
                        step,
                        Out {
                            numbers: arena.numbers_mut(),
                            stride,
                        },
                    );
                    self.values.put_back(index, arena);
                }
            }
        }
        let (value, _) = self.logits();
        if let Some(rows) = self.values.stored(value) {
            for (row, logits) in logits.chunks_exact_mut(rows.width).enumerate() {
                logits.copy_from_slice(rows.row(row));
            }
        }
        Ok(())
    }

    fn copy_blocks(&mut self, pairs: &[(BlockId, BlockId)]) -> Result<(), DriverError> {
        let ids = pairs.iter().flat_map(|(from, to)| [from, to]);
        if let Some(beyond) = ids
            .into_iter()
            .find(|block| block.0 as usize >= self.limits.blocks)
        {
            return Err(DriverError::Limits(format!(
                "block {}, there are {}",
                beyond.0, self.limits.blocks
            )));
        }
        for (from, to) in pairs {
            for state in &mut self.states {
                state.copy_block(*from, *to);
            }
        }
        Ok(())
    }

    fn copy_slots(&mut self, _pairs: &[(SlotId, SlotId)]) -> Result<(), DriverError> {
        // No graph with state of sequences is loaded.
        Ok(())
    }

    fn snapshot(&mut self, _state: &SequenceState<'_>) -> Result<Vec<u8>, DriverError> {
        Err(no_snapshots())
    }

    fn restore(&mut self, _snapshot: &[u8], _state: &SequenceState<'_>) -> Result<(), DriverError> {
        Err(no_snapshots())
    }
}

fn no_snapshots() -> DriverError {
    DriverError::Unsupported(Unsupported {
        driver: "cpu",
        op: "snapshot",
        reason: "state is copied by blocks alone; use copy_blocks".to_owned(),
    })
}
