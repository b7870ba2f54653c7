//! Answers to all but requests.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;
use mains_contract::{
    BlockFormat, Bytes, Device, DeviceKind, DriverFacts, FootprintModel, FormatCosts, Measured, Memory,
    Precision, ProbeReport, Products, StepLimits,
};
use mains_types::{Digest, DriverCosts, ModelFacts, Plan, RuntimeModel, SamplingDefaults, TensorFacts};
use mains_wire::frames::{BUILD_ID, FromWorker};

use crate::behaviour::{Behaviour, Load, die, hang};

/// The only source with a device, which has its name.
const CPU: &str = "cpu";
/// Positions in a block of state.
const BLOCK_TOKENS: u32 = 16;
/// Numbers in a row of the only tensor.
const WIDTH: u32 = 256;
/// Threads of a driver whose measurement never ends, so that something else has to end it.
const ENDLESS_THREADS: u32 = 13;
/// Working memory beside the weights, the same everywhere: small against a MiB of weights.
const SMALL: Bytes = Bytes(1024);

/// One CPU device with the configured memory, of the source `cpu`; the others have nothing.
pub(crate) fn report(behaviour: &Behaviour, source: &str) -> FromWorker {
    if source != CPU {
        return FromWorker::Report(ProbeReport::default());
    }
    let memory = Bytes::from_mib(behaviour.memory_mib);
    let device = Device {
        memory: Some(Memory {
            total: memory,
            free: Some(memory),
            shared: true,
            host: None,
        }),
        sources: vec![CPU.to_owned()],
        usable_by: vec![CPU.to_owned()],
        drivers: vec![driver(CPU.to_owned(), 1)],
        ..Device::new(CPU, "Null", DeviceKind::Cpu)
    };
    FromWorker::Report(ProbeReport {
        devices: vec![device],
        problems: Vec::new(),
    })
}

fn driver(name: String, threads: u32) -> DriverFacts {
    DriverFacts {
        name,
        version: BUILD_ID.to_owned(),
        kernels: "null".to_owned(),
        threads,
    }
}

/// Figures that are always the same. With [`ENDLESS_THREADS`] only the first step of a measurement without an end.
pub(crate) fn measured(name: String, threads: u32) -> Vec<FromWorker> {
    let step = |done| FromWorker::Measuring { done, of: 2 };
    if threads == ENDLESS_THREADS {
        return vec![step(1)];
    }
    let measured = Measured {
        at: SystemTime::now(),
        driver: driver(name, threads),
        read_bytes_per_s: 1e9,
        operations_per_s: [(Precision::F32, 1e11)].into(),
        spread: 0.0,
    };
    vec![step(1), step(2), FromWorker::Measured(Box::new(measured))]
}

/// Facts of a model with one tensor, as the options in `path` say.
pub(crate) fn facts(behaviour: &Behaviour, path: &Path) -> Result<FromWorker> {
    let behaviour = behaviour.with_file(path)?;
    let weights = Bytes::from_mib(behaviour.weights_mib);
    let tensor = TensorFacts {
        name: "token_embd.weight".to_owned(),
        format: BlockFormat::F32,
        rows: weights.0 / (4 * u64::from(WIDTH)),
        cols: WIDTH.into(),
    };
    let in_format = |format| (format, with_weights(tensor.bytes_in(format)));
    let kinds = [BlockFormat::F32, BlockFormat::Q8_0].map(in_format).to_vec();
    Ok(FromWorker::Facts(Box::new(ModelFacts {
        family: "null".to_owned(),
        digest: digest(path),
        file_bytes: weights,
        parameters: weights.0 / 4,
        layers: 1,
        width: WIDTH,
        vocabulary: 256,
        context: behaviour.context,
        chat: true,
        sampling: SamplingDefaults::default(),
        tensors: vec![tensor],
        products: vec![Products::default()],
        borders: Vec::new(),
        parts: vec![(0, 0)],
        costs: vec![DriverCosts {
            runs: Vec::new(),
            shared: Vec::new(),
            driver: "cpu".to_owned(),
            kv: vec![(BlockFormat::F16, footprint(Bytes::ZERO))],
            formats: FormatCosts {
                base: FootprintModel::default(),
                kinds: vec![kinds],
                kind_of: vec![0],
            },
        }],
        unsupported: Vec::new(),
        block_tokens: BLOCK_TOKENS,
        runtime: RuntimeModel {
            fixed: SMALL,
            ..RuntimeModel::default()
        },
        about: mains_types::About::default(),
        sensitivity: None,
        importance: None,
    })))
}

/// The answer to a load, if the options let it answer.
pub(crate) fn loaded(behaviour: &Behaviour, plan: Plan) -> FromWorker {
    match behaviour.load {
        Load::Ok => {
            let limits = StepLimits {
                rows: plan.step_rows as usize,
                output_rows: plan.parallel as usize,
                context: plan.context as usize,
                blocks: plan.blocks as usize,
                block_tokens: plan.block_tokens as usize,
                slots: plan.parallel as usize,
            };
            FromWorker::Loaded {
                footprint: footprint(plan.bytes.weights).at(&limits, 1),
            }
        }
        Load::Error => FromWorker::Error("the null worker was told to refuse this load".to_owned()),
        Load::Die => die(),
        Load::Hang => hang(),
    }
}

fn footprint(weights: Bytes) -> FootprintModel {
    FootprintModel {
        state_per_token: SMALL,
        ..with_weights(weights)
    }
}

fn with_weights(weights: Bytes) -> FootprintModel {
    FootprintModel {
        weights,
        ..FootprintModel::default()
    }
}

/// Different for different paths and options.
fn digest(path: &Path) -> Digest {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    // A folder has none.
    std::fs::read(path).unwrap_or_default().hash(&mut hasher);
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&hasher.finish().to_le_bytes());
    Digest(digest)
}
