//! What the reference takes and how large it is.

use std::sync::Arc;

use mains_contract::{
    BlockFormat, Bytes, Capabilities, Driver, DriverError, FootprintModel, Graph, LoadedModel, Node,
    StateSpec, StepLimits, Unsupported, WeightSource, cache_refusal,
};

use crate::model::{ReferenceModel, router_scratch};

/// Bytes of a value or weight.
const F32_BYTES: u64 = 4;
/// Bytes of a score of attention or of a router.
const F64_BYTES: u64 = 8;
/// The driver's name.
pub(crate) const NAME: &str = "reference";

/// The naive driver.
#[derive(Debug)]
pub struct ReferenceDriver {
    capabilities: Capabilities,
}

impl ReferenceDriver {
    /// A driver that runs on the calling thread.
    #[must_use]
    pub fn new() -> Self {
        Self {
            capabilities: Capabilities {
                driver: NAME,
                kernels: "naive".to_owned(),
                weight_formats: BlockFormat::ALL.to_vec(),
                threads: 1,
            },
        }
    }
}

impl Default for ReferenceDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl Driver for ReferenceDriver {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn supports(&self, graph: &Graph, node: &Node, _formats: &[BlockFormat]) -> Result<(), Unsupported> {
        let Some(reason) = refusal(graph, node) else {
            return Ok(());
        };
        Err(Unsupported {
            driver: NAME,
            op: node.op.name(),
            reason,
        })
    }

    fn footprint(&self, graph: &Graph, _formats: &[BlockFormat]) -> FootprintModel {
        let numbers: u64 = graph
            .weights()
            .iter()
            .map(|weight| (weight.rows * weight.cols) as u64)
            .sum();
        let width = |selected: bool| -> u64 {
            let nodes = graph.nodes().iter().filter(|node| node.selected == selected);
            nodes.map(|node| node.width as u64).sum()
        };
        FootprintModel {
            weights: Bytes(numbers).times(F32_BYTES),
            state_per_token: graph.states().iter().map(StateSpec::bytes_per_token).sum(),
            state_per_sequence: graph.states().iter().map(StateSpec::bytes_per_sequence).sum(),
            activations_per_row: Bytes(width(false)).times(F32_BYTES),
            activations_per_output_row: Bytes(width(true)).times(F32_BYTES),
            scratch: Bytes(F64_BYTES).times(router_scratch(graph) as u64),
            scratch_per_context_token: Bytes(F64_BYTES),
            ..FootprintModel::default()
        }
    }

    fn load(
        &self,
        graph: Arc<Graph>,
        weights: &dyn WeightSource,
        limits: &StepLimits,
    ) -> Result<Box<dyn LoadedModel>, DriverError> {
        for node in graph.nodes() {
            self.supports(&graph, node, &[])?;
        }
        if graph.outputs().is_empty() {
            return Err(DriverError::Unsupported(Unsupported {
                driver: NAME,
                op: "output",
                reason: "the graph gives nothing out".to_owned(),
            }));
        }
        Ok(Box::new(ReferenceModel::load(graph, weights, limits)?))
    }
}

/// Why `node` can not be computed, if it can not.
fn refusal(graph: &Graph, node: &Node) -> Option<String> {
    if node.width == 0 {
        return Some("rows of no numbers".to_owned());
    }
    let format = match &graph.states()[node.op.state()?.0 as usize] {
        StateSpec::PerToken { format, .. } => *format,
        // The graph has checked that it is F32.
        StateSpec::PerSequence { .. } => return None,
    };
    cache_refusal(&node.op, format)
}
