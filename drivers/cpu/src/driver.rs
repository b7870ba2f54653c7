//! What the driver takes, how large it is, and its way in.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use mains_contract::{
    BlockFormat, Capabilities, Driver, DriverError, FootprintModel, Graph, KeptWeight, LoadedModel, Node, Op,
    Packer, StateSpec, StepLimits, Unsupported, WeightData, WeightId, WeightSource, WeightUse, cache_refusal,
};

use crate::arrange::{arrange, describe, refused, restore, understand};
use crate::isa::{Detected, Isa};
use crate::load::check_shape;
use crate::plan::{Plan, parts_of};
use crate::pool::Pool;
use crate::run::CpuModel;

/// The driver's name.
const NAME: &str = "cpu";

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
                weight_formats: BlockFormat::ALL.to_vec(),
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
        Plan::new(graph, formats).footprint(graph)
    }

    fn packer(&self) -> Option<&dyn Packer> {
        Some(self)
    }

    fn load(
        &self,
        graph: Arc<Graph>,
        weights: &dyn WeightSource,
        limits: &StepLimits,
    ) -> Result<Box<dyn LoadedModel>, DriverError> {
        let mut formats = Vec::with_capacity(graph.weights().len());
        for declared in graph.weights() {
            formats.push(weights.format(&declared.name)?);
        }
        for node in graph.nodes() {
            self.supports(&graph, node, &formats)?;
        }
        if graph.outputs().is_empty() {
            return Err(unsupported("output", "the graph gives nothing out".to_owned()).into());
        }
        let plan = Plan::new(&graph, &formats);
        let model = CpuModel::load(graph, plan, weights, limits, self.isa, self.capabilities.threads)?;
        Ok(Box::new(model))
    }
}

impl Packer for CpuDriver {
    fn kept(&self, graph: &Graph, formats: &[BlockFormat]) -> Vec<KeptWeight> {
        let plan = Plan::new(graph, formats);
        let weights = graph.weights().iter().zip(&plan.kept);
        weights
            .map(|(declared, kept)| describe(declared, *kept))
            .collect()
    }

    fn pack(&self, weight: &KeptWeight, data: &WeightData<'_>, out: &mut [u8]) -> Result<(), DriverError> {
        let kept = understand(weight)?;
        check_shape(&weight.name, data, weight.rows, weight.cols)?;
        check_room(weight, out.len(), weight.bytes)?;
        let pool = Pool::new(self.capabilities.threads)?;
        arrange(weight, kept, data, &pool, out)
    }

    fn unpack(&self, weight: &KeptWeight, packed: &[u8], out: &mut [u8]) -> Result<(), DriverError> {
        let kept = understand(weight)?;
        let rows = weight.format.row_bytes(weight.cols).map(|row| row * weight.rows);
        check_room(weight, packed.len(), weight.bytes)?;
        check_room(weight, out.len(), rows.unwrap_or(usize::MAX))?;
        let pool = Pool::new(self.capabilities.threads)?;
        restore(weight, kept, packed, &pool, out);
        Ok(())
    }
}

fn check_room(weight: &KeptWeight, found: usize, wanted: usize) -> Result<(), DriverError> {
    if found == wanted {
        return Ok(());
    }
    let reason = format!("{found} bytes were given, it takes {wanted}");
    Err(refused(&weight.name, reason))
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
    let weights = node.op.weights().into_iter();
    let mut reasons = weights.filter_map(|(weight, used)| refuse_weight(graph, node, weight, used, formats));
    if let Some(reason) = reasons.next() {
        return Some(reason);
    }
    match graph.states().get(node.op.state()?.0 as usize)? {
        StateSpec::PerToken { format, .. } => cache_refusal(&node.op, *format),
        // The graph has checked that it is F32.
        StateSpec::PerSequence { .. } => None,
    }
}

/// Why `node` can not use `weight`, if it can not. A weight is kept in one way for all its uses.
fn refuse_weight(
    graph: &Graph,
    node: &Node,
    weight: WeightId,
    used: WeightUse,
    formats: &[BlockFormat],
) -> Option<String> {
    let declared = graph.weight(weight);
    let convolves = |op: &Op| matches!(op, Op::ShortConvolution { .. });
    if used == WeightUse::Vector {
        let differs = uses(graph, weight).any(|(op, _)| convolves(op) != convolves(&node.op));
        return differs.then(|| format!("{} as a convolution and as something else", declared.name));
    }
    let format = *formats.get(weight.0 as usize)?;
    if declared.cols == 0 || format.row_bytes(declared.cols).is_none() {
        return Some(format!(
            "rows of {} numbers are no whole blocks of {format}",
            declared.cols
        ));
    }
    let name = &declared.name;
    for (op, other) in uses(graph, weight) {
        if other == WeightUse::Vector && format != BlockFormat::F32 {
            return Some(format!("{name} as a matrix in {format} and as a vector"));
        }
        if format.is_quantized() && other != WeightUse::Vector && parts_of(op) != parts_of(&node.op) {
            return Some(format!("{name} in {format} as matrices of two sizes"));
        }
    }
    None
}

/// Every use of `weight`.
fn uses(graph: &Graph, weight: WeightId) -> impl Iterator<Item = (&Op, WeightUse)> {
    let all = graph.nodes().iter().flat_map(|node| {
        let weights = node.op.weights().into_iter();
        weights.map(move |(id, used)| (id, &node.op, used))
    });
    all.filter(move |(id, ..)| *id == weight)
        .map(|(_, op, used)| (op, used))
}
