//! A loaded graph: weights, states and values.

use std::sync::Arc;

use mains_blocks::dequantize;
use mains_contract::{
    BlockId, Bytes, DriverError, Footprint, Graph, LoadedModel, Op, SequenceState, SlotId, Step, StepLimits,
    WeightDecl, WeightId, WeightSource,
};

use crate::allocate::allocate;
use crate::ops::Router;
use crate::states::States;
use crate::values::Values;

/// A graph with its weights as float32.
pub(crate) struct ReferenceModel {
    pub(crate) graph: Arc<Graph>,
    limits: StepLimits,
    pub(crate) weights: Vec<Vec<f32>>,
    pub(crate) states: States,
    pub(crate) values: Values,
    /// Working memory: scores of attention and of routers.
    pub(crate) scores: Vec<f64>,
}

/// Numbers of working memory that the choice of experts needs, at most.
pub(crate) fn router_scratch(graph: &Graph) -> usize {
    let needs = graph.nodes().iter().map(|node| match &node.op {
        Op::Route { experts, .. } => Router::scratch(*experts),
        _ => 0,
    });
    needs.max().unwrap_or(0)
}

impl ReferenceModel {
    /// Reads all weights and allocates for steps under `limits`.
    ///
    /// # Errors
    /// [`DriverError`] when a weight does not fit, the limits leave out what the graph needs, or memory runs out.
    pub(crate) fn load(
        graph: Arc<Graph>,
        source: &dyn WeightSource,
        limits: &StepLimits,
    ) -> Result<Self, DriverError> {
        if limits.block_tokens == 0 {
            let reason = "a block of state must have positions";
            return Err(DriverError::Limits(reason.to_owned()));
        }
        if graph.has_sequence_state() && limits.slots == 0 {
            let reason = "the model keeps state of sequences and there are no slots for it";
            return Err(DriverError::Limits(reason.to_owned()));
        }
        let weights: Result<_, _> = graph
            .weights()
            .iter()
            .map(|weight| read_weight(weight, source))
            .collect();
        let scores = limits.context.saturating_add(router_scratch(&graph));
        Ok(Self {
            weights: weights?,
            states: States::new(&graph, limits)?,
            values: Values::new(&graph, limits)?,
            scores: allocate(scores, "scores")?,
            limits: *limits,
            graph,
        })
    }

    pub(crate) fn weight(&self, id: WeightId) -> &[f32] {
        &self.weights[id.0 as usize]
    }

    pub(crate) fn vector(&self, id: Option<WeightId>) -> Option<&[f32]> {
        id.map(|id| self.weight(id))
    }
}

impl LoadedModel for ReferenceModel {
    fn footprint(&self) -> Footprint {
        let bytes = |values: &[f32]| Bytes::from(size_of_val(values));
        Footprint {
            weights: self.weights.iter().map(|weight| bytes(weight)).sum(),
            state: self.states.bytes(),
            activations: self.values.bytes(),
            scratch: Bytes::from(size_of_val(self.scores.as_slice())),
        }
    }

    fn run(&mut self, step: &Step<'_>, out: &mut [f32]) -> Result<(), DriverError> {
        step.check(&self.limits)?;
        let graph = Arc::clone(&self.graph);
        step.check_for(&graph)?;
        let wanted = graph.output_ranges(step).last().map_or(0, |(_, range)| range.end);
        if out.len() != wanted {
            let found = out.len();
            return Err(DriverError::Limits(format!(
                "room for {found} numbers of output, the step gives {wanted}"
            )));
        }
        for (index, node) in graph.nodes().iter().enumerate() {
            let rows = if node.selected {
                step.output_rows.len()
            } else {
                step.tokens.len()
            };
            let mut numbers = self.values.take(index);
            self.run_node(node, step, &mut numbers[..rows * node.width]);
            self.values.put_back(index, numbers);
        }
        for ((_, range), (_, value)) in graph.output_ranges(step).zip(graph.outputs()) {
            let count = range.len();
            out[range].copy_from_slice(self.values.first(*value, count));
        }
        Ok(())
    }

    fn copy_blocks(&mut self, pairs: &[(BlockId, BlockId)]) -> Result<(), DriverError> {
        self.states.copy_blocks(pairs)
    }

    fn copy_slots(&mut self, pairs: &[(SlotId, SlotId)]) -> Result<(), DriverError> {
        self.states.copy_slots(pairs)
    }

    fn snapshot(&mut self, state: &SequenceState<'_>) -> Result<Vec<u8>, DriverError> {
        self.states.snapshot(state)
    }

    fn restore(&mut self, snapshot: &[u8], state: &SequenceState<'_>) -> Result<(), DriverError> {
        self.states.restore(snapshot, state)
    }
}

fn read_weight(declared: &WeightDecl, source: &dyn WeightSource) -> Result<Vec<f32>, DriverError> {
    let data = source.weight(&declared.name)?;
    let refuse = |reason: String| DriverError::Weight {
        name: declared.name.clone(),
        reason,
    };
    if (data.rows, data.cols) != (declared.rows, declared.cols) {
        return Err(refuse(format!(
            "it is {} x {}, the model declares {} x {}",
            data.rows, data.cols, declared.rows, declared.cols
        )));
    }
    let mut numbers = allocate(data.rows.saturating_mul(data.cols), "weights")?;
    dequantize(data.format, data.bytes, &mut numbers).map_err(|error| refuse(error.to_string()))?;
    Ok(numbers)
}
