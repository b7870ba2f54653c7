//! The driver and what it loads.

use std::sync::Arc;

use mains_contract::{
    BlockFormat, BlockId, Bytes, Capabilities, Driver, DriverError, Footprint, FootprintModel, Graph,
    LoadedModel, Node, SequenceState, SlotId, StateSpec, Step, StepLimits, Unsupported, WeightSource,
};

use crate::command::{SPAN_WORDS, WORD_BYTES, weight_bytes};
use crate::lower;

/// The driver's name.
const NAME: &str = "null";

/// Takes every graph and computes none.
#[derive(Debug)]
pub struct NullDriver {
    capabilities: Capabilities,
}

impl NullDriver {
    /// The driver.
    #[must_use]
    pub fn new() -> Self {
        Self {
            capabilities: Capabilities {
                driver: NAME,
                kernels: "none".to_owned(),
                weight_formats: BlockFormat::ALL.to_vec(),
                threads: 1,
            },
        }
    }
}

impl Default for NullDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl Driver for NullDriver {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn supports(&self, graph: &Graph, node: &Node, formats: &[BlockFormat]) -> Result<(), Unsupported> {
        let unsuited = node.op.weights().into_iter().find_map(|(id, _)| {
            let (cols, format) = (graph.weight(id).cols, formats.get(id.0 as usize)?);
            let reason = format!("rows of {cols} numbers are no whole blocks of {format}");
            format.row_bytes(cols).is_none().then_some(reason)
        });
        match unsuited {
            Some(reason) => Err(Unsupported {
                driver: NAME,
                op: node.op.name(),
                reason,
            }),
            None => Ok(()),
        }
    }

    fn footprint(&self, graph: &Graph, formats: &[BlockFormat]) -> FootprintModel {
        let list = lower(graph);
        let words = |words: u64| Bytes(WORD_BYTES).times(words);
        let given_out = |selected: bool| -> u64 {
            let nodes = graph.outputs().iter().map(|(_, value)| graph.node(*value));
            nodes
                .filter(|node| node.selected == selected)
                .map(|node| node.width as u64)
                .sum()
        };
        FootprintModel {
            weights: weight_bytes(graph, formats).sum(),
            state_per_token: graph.states().iter().map(StateSpec::bytes_per_token).sum(),
            state_per_sequence: graph.states().iter().map(StateSpec::bytes_per_sequence).sum(),
            activations_per_row: words(list.row_width as u64 + given_out(false)),
            activations_per_output_row: words(list.output_row_width as u64 + given_out(true) + 1),
            scratch_per_row: words(2 + SPAN_WORDS + list.input_width as u64),
            scratch_per_table_entry: words(1),
            ..FootprintModel::default()
        }
    }

    fn load(
        &self,
        graph: Arc<Graph>,
        weights: &dyn WeightSource,
        limits: &StepLimits,
    ) -> Result<Box<dyn LoadedModel>, DriverError> {
        let mut formats = Vec::with_capacity(graph.weights().len());
        for declared in graph.weights() {
            let data = weights.weight(&declared.name)?;
            if (data.rows, data.cols) != (declared.rows, declared.cols) {
                return Err(DriverError::Weight {
                    name: declared.name.clone(),
                    reason: format!(
                        "it is {} x {}, the model declares {} x {}",
                        data.rows, data.cols, declared.rows, declared.cols
                    ),
                });
            }
            formats.push(data.format);
        }
        for node in graph.nodes() {
            self.supports(&graph, node, &formats)?;
        }
        if limits.block_tokens == 0 || (graph.has_sequence_state() && limits.slots == 0) {
            let reason = "the model needs blocks with positions, and slots when it keeps state of sequences";
            return Err(DriverError::Limits(reason.to_owned()));
        }
        Ok(Box::new(NullModel {
            footprint: lower(&graph).allocations(&graph, &formats, limits),
            limits: *limits,
            graph,
        }))
    }
}

/// A graph whose steps are checked and not computed.
struct NullModel {
    graph: Arc<Graph>,
    limits: StepLimits,
    footprint: Footprint,
}

impl NullModel {
    fn check(&self, blocks: &[BlockId], slots: &[SlotId]) -> Result<(), DriverError> {
        let (block_count, slot_count) = (self.limits.blocks, self.limits.slots);
        if let Some(block) = blocks.iter().find(|block| block.0 as usize >= block_count) {
            let reason = format!("block {}, there are {block_count}", block.0);
            return Err(DriverError::Limits(reason));
        }
        if let Some(slot) = slots.iter().find(|slot| slot.0 as usize >= slot_count.max(1)) {
            let reason = format!("slot {}, there are {slot_count}", slot.0);
            return Err(DriverError::Limits(reason));
        }
        Ok(())
    }
}

impl LoadedModel for NullModel {
    fn footprint(&self) -> Footprint {
        self.footprint
    }

    fn run(&mut self, step: &Step<'_>, out: &mut [f32]) -> Result<(), DriverError> {
        step.check(&self.limits)?;
        step.check_for(&self.graph)?;
        let wanted = self
            .graph
            .output_ranges(step)
            .last()
            .map_or(0, |(_, range)| range.end);
        if out.len() != wanted {
            let found = out.len();
            let reason = format!("room for {found} numbers of output, the step gives {wanted}");
            return Err(DriverError::Limits(reason));
        }
        out.fill(0.0);
        Ok(())
    }

    fn copy_blocks(&mut self, pairs: &[(BlockId, BlockId)]) -> Result<(), DriverError> {
        pairs
            .iter()
            .try_for_each(|(from, to)| self.check(&[*from, *to], &[]))
    }

    fn copy_slots(&mut self, pairs: &[(SlotId, SlotId)]) -> Result<(), DriverError> {
        pairs
            .iter()
            .try_for_each(|(from, to)| self.check(&[], &[*from, *to]))
    }

    fn snapshot(&mut self, state: &SequenceState<'_>) -> Result<Vec<u8>, DriverError> {
        self.check(state.blocks, &[state.slot])?;
        Ok(Vec::new())
    }

    fn restore(&mut self, snapshot: &[u8], state: &SequenceState<'_>) -> Result<(), DriverError> {
        self.check(state.blocks, &[state.slot])?;
        if snapshot.is_empty() {
            Ok(())
        } else {
            let bytes = snapshot.len();
            Err(DriverError::Limits(format!(
                "a snapshot of {bytes} bytes, this driver's have none"
            )))
        }
    }
}
