//! What the driver takes, how large it is, and its way in.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use mains_contract::{
    Activation, BlockFormat, Capabilities, Driver, DriverError, FootprintModel, Graph, LoadedModel, Node, Op,
    OutputName, StateSpec, StepLimits, Unsupported, WeightSource,
};

use crate::isa::{Detected, Isa};
use crate::load::checked;
use crate::plan::Plan;
use crate::run::CpuModel;

/// The driver's name.
const NAME: &str = "cpu";
/// The formats that products have kernels for.
const KERNELS: [BlockFormat; 5] = [
    BlockFormat::F32,
    BlockFormat::F16,
    BlockFormat::Q8_0,
    BlockFormat::Q4_K,
    BlockFormat::BF16,
];

/// Choices that the machine would otherwise make.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// Threads that share a step, the caller included; what the system offers when absent.
    pub threads: Option<NonZeroUsize>,
    /// The instruction set; the fastest of the machine when absent.
    pub isa: Option<Isa>,
}

/// Choices that this machine can not honour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpuOptionsError {
    /// It does not have the instruction set.
    #[error("this machine has no {}; leave the choice to the driver, or choose portable", .0.name())]
    Isa(Isa),
}

/// Computes on the host's processors.
#[derive(Debug)]
pub struct CpuDriver {
    capabilities: Capabilities,
    isa: Detected,
}

impl CpuDriver {
    /// A driver with `options`.
    ///
    /// # Errors
    /// [`CpuOptionsError`] when the machine lacks what they ask for.
    pub fn new(options: CpuOptions) -> Result<Self, CpuOptionsError> {
        let isa = match options.isa {
            Some(isa) => Detected::new(isa).ok_or(CpuOptionsError::Isa(isa))?,
            None => Detected::best(),
        };
        // A system that does not tell how many threads it offers has one for us in any case.
        let threads = options
            .threads
            .or_else(|| available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            capabilities: Capabilities {
                driver: NAME,
                kernels: isa.isa().name().to_owned(),
                weight_formats: KERNELS.to_vec(),
                threads: threads.get(),
            },
            isa,
        })
    }
}

impl Driver for CpuDriver {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn supports(&self, graph: &Graph, node: &Node, formats: &[BlockFormat]) -> Result<(), Unsupported> {
        refusal(graph, node, formats).map_or(Ok(()), |reason| Err(unsupported(node.op.name(), reason)))
    }

    fn footprint(&self, graph: &Graph, formats: &[BlockFormat]) -> FootprintModel {
        Plan::new(graph, formats).footprint(graph, self.capabilities.threads)
    }

    fn load(
        &self,
        graph: Arc<Graph>,
        weights: &dyn WeightSource,
        limits: &StepLimits,
    ) -> Result<Box<dyn LoadedModel>, DriverError> {
        let mut formats = Vec::with_capacity(graph.weights().len());
        for declared in graph.weights() {
            formats.push(checked(declared, weights)?.format);
        }
        for node in graph.nodes() {
            self.supports(&graph, node, &formats)?;
        }
        if graph
            .output(OutputName::Logits)
            .is_none_or(|value| !graph.node(value).selected)
        {
            return Err(
                unsupported("output", "the graph gives no logits of selected rows".to_owned()).into(),
            );
        }
        let plan = Plan::new(&graph, &formats);
        let model = CpuModel::load(graph, plan, weights, limits, self.isa, self.capabilities.threads)?;
        Ok(Box::new(model))
    }
}

fn unsupported(op: &'static str, reason: String) -> Unsupported {
    Unsupported {
        driver: NAME,
        op,
        reason,
    }
}

/// Why `node` can not be computed, if it can not.
fn refusal(graph: &Graph, node: &Node, formats: &[BlockFormat]) -> Option<String> {
    if node.width == 0 {
        return Some("rows of no numbers".to_owned());
    }
    match &node.op {
        Op::Linear { weight, .. } | Op::Embed { table: weight } => {
            let (cols, format) = (graph.weight(*weight).cols, formats.get(weight.0 as usize)?);
            if cols == 0 || format.row_bytes(cols).is_none() {
                return Some(format!("rows of {cols} numbers are no whole blocks of {format}"));
            }
            if matches!(node.op, Op::Linear { .. }) && !KERNELS.contains(format) {
                let known = KERNELS.map(BlockFormat::name).join(", ");
                return Some(format!("weights in {format}, it takes {known}"));
            }
            let is_vector = |used: &Node| match &used.op {
                Op::Linear { bias, .. } => *bias == Some(*weight),
                Op::RmsNorm { weight: gain, .. } => *gain == Some(*weight),
                _ => false,
            };
            let shared = *format != BlockFormat::F32 && graph.nodes().iter().any(is_vector);
            shared.then(|| {
                format!(
                    "{} as a matrix in {format} and as a vector",
                    graph.weight(*weight).name
                )
            })
        }
        Op::RmsNorm { weight, .. } => weight.is_none().then(|| "no gain".to_owned()),
        Op::Rope { scale, start, .. } => {
            (*scale != 1.0 || *start != 0).then(|| "a rotation with a factor or a start".to_owned())
        }
        Op::Gated { activation } => {
            (*activation != Activation::Silu).then(|| format!("the activation {activation:?}"))
        }
        Op::Attention {
            state,
            soft_cap,
            sinks,
            causal,
            ..
        } => {
            let StateSpec::PerToken {
                format, shared_with, ..
            } = &graph.states()[state.0 as usize]
            else {
                return Some("a state of sequences".to_owned());
            };
            if soft_cap.is_some() || sinks.is_some() || !*causal {
                Some("soft caps, sinks and later tokens".to_owned())
            } else if node.inputs.len() != 3 || shared_with.is_some() {
                Some("state that is shared with another layer".to_owned())
            } else if !matches!(format, BlockFormat::F32 | BlockFormat::F16) {
                Some(format!("state in {format}, it takes F32 and F16"))
            } else {
                None
            }
        }
        Op::Add | Op::SelectRows => None,
        _ => Some("there is no kernel for it".to_owned()),
    }
}
