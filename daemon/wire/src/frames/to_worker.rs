//! What `mainsd` says to a worker.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use mains_contract::Bytes;
use mains_types::{Digest, Generate, Plan};
use serde::{Deserialize, Serialize};

use super::convert::{ConvertOrder, ConvertOrderWire};
use super::generate::GenerateWire;
use super::hello::DaemonHello;
use super::pack::{PackOrder, PackOrderWire};
use super::plan::PlanWire;
use super::sensitivity::{SensitivityOrder, SensitivityOrderWire};
use super::{Frame, FrameError, bounds};

/// A frame to a worker.
#[derive(Debug, Clone, PartialEq)]
pub enum ToWorker {
    /// The first frame.
    Hello(DaemonHello),
    /// To `probe`: ask one source. A worker has one source, which stays open for the next question. Answered by `Report`, or by
    /// `Error` when the source fails.
    Probe {
        /// The source's name.
        source: String,
        /// Whether to look for devices that came or went, instead of reading those that were found.
        anew: bool,
    },
    /// To `inspect`: read a model's files. Answered by `Facts` or `Error`.
    Inspect {
        /// A GGUF file or a Hugging Face folder.
        path: PathBuf,
        /// Drivers whose footprints are wanted; every driver when empty.
        drivers: Vec<String>,
        /// The digest of the files, when it is known of them as they are: it is said again then, and no byte of weights is read.
        digest: Option<Digest>,
    },
    /// To `run`, once: load a model as planned. Answered by `Loaded` or `Error`.
    Load {
        /// A GGUF file or a Hugging Face folder.
        path: PathBuf,
        /// Where it goes.
        plan: Plan,
        /// A file with the plan's weights packed for its driver, to be mapped; there may be none.
        packed: Option<PathBuf>,
    },
    /// To `run`, after `Loaded`: generate. Answered by `Started`, `Tokens`, `Finished` for each choice and `Done`, or by
    /// `Failed`, each with this number.
    Generate(u64, Generate),
    /// To `run`: end that request within one step. Nothing more is said about it.
    Cancel(u64),
    /// Are you alive? Answered by `Pong` with the same number, only while the worker makes progress or is idle.
    Ping(u64),
    /// End now.
    Shutdown,
    /// To `run`: compute nothing more for that request for now, its client does not keep up. Chunks that are on their way
    /// still come.
    Pause(u64),
    /// To `run`: go on with that request.
    Resume(u64),
    /// To `run`, in place of a load: measure how fast a driver is. Answered by `Measuring` as it goes on, then by `Measured` or
    /// `Error`.
    Measure {
        /// The driver's name.
        driver: String,
        /// Threads that share its work.
        threads: u32,
        /// Weights that it may load at a time.
        bytes: Bytes,
    },
    /// To `convert`: put a model's tensors into other types. Answered by `Writing`, `Piece`s of a GGUF file in order and
    /// `Written`, or by `Error`.
    Convert(ConvertOrder),
    /// To `convert`: measure what types cost a model. Answered by `Measuring` as it goes on and by a `Group` for each that was
    /// measured; by the file of its importance (`Writing`, `Piece`s, `Written`) first, unless the order names one; at the end by
    /// the file of its table, or by `Error`.
    Sensitivity(SensitivityOrder),
    /// To `convert`: arrange a model's weights as a driver keeps them. Answered as `Convert` is, with `Start` before `Written`.
    Pack(PackOrder),
    /// To `convert`: read the tar at this path and say the model's files in it: `File`, its `Piece`s in order, the next `File`,
    /// and `Written` after the last; or `Error`.
    Unpack(PathBuf),
}

/// [`ToWorker`] on the wire. Variants are only added at the end.
#[derive(Debug, Serialize, Deserialize)]
#[doc(hidden)]
pub enum ToWorkerWire {
    Hello(DaemonHello),
    Probe {
        source: String,
        anew: bool,
    },
    Inspect {
        path: Vec<u8>,
        drivers: Vec<String>,
        digest: Option<[u8; 32]>,
    },
    Load {
        path: Vec<u8>,
        plan: PlanWire,
        packed: Option<Vec<u8>>,
    },
    Generate(u64, Box<GenerateWire>),
    Cancel(u64),
    Ping(u64),
    Shutdown,
    Pause(u64),
    Resume(u64),
    Measure {
        driver: String,
        threads: u32,
        bytes: u64,
    },
    Convert(ConvertOrderWire),
    Sensitivity(SensitivityOrderWire),
    Pack(PackOrderWire),
    Unpack(Vec<u8>),
}

impl Frame for ToWorker {
    type Wire = ToWorkerWire;

    const MAX_BYTES: usize = bounds::TO_WORKER_BYTES;

    fn into_wire(self) -> ToWorkerWire {
        match self {
            Self::Hello(hello) => ToWorkerWire::Hello(hello),
            Self::Probe { source, anew } => ToWorkerWire::Probe { source, anew },
            Self::Inspect {
                path,
                drivers,
                digest,
            } => ToWorkerWire::Inspect {
                path: path.into_os_string().into_vec(),
                drivers,
                digest: digest.map(|digest| digest.0),
            },
            Self::Load { path, plan, packed } => ToWorkerWire::Load {
                path: path.into_os_string().into_vec(),
                plan: plan.into(),
                packed: packed.map(|path| path.into_os_string().into_vec()),
            },
            Self::Generate(number, generate) => ToWorkerWire::Generate(number, Box::new(generate.into())),
            Self::Cancel(number) => ToWorkerWire::Cancel(number),
            Self::Ping(nonce) => ToWorkerWire::Ping(nonce),
            Self::Shutdown => ToWorkerWire::Shutdown,
            Self::Pause(number) => ToWorkerWire::Pause(number),
            Self::Resume(number) => ToWorkerWire::Resume(number),
            Self::Measure {
                driver,
                threads,
                bytes,
            } => ToWorkerWire::Measure {
                driver,
                threads,
                bytes: bytes.0,
            },
            Self::Convert(order) => ToWorkerWire::Convert(order.into()),
            Self::Sensitivity(order) => ToWorkerWire::Sensitivity(order.into()),
            Self::Pack(order) => ToWorkerWire::Pack(order.into()),
            Self::Unpack(path) => ToWorkerWire::Unpack(path.into_os_string().into_vec()),
        }
    }

    fn from_wire(wire: ToWorkerWire) -> Result<Self, FrameError> {
        Ok(match wire {
            ToWorkerWire::Hello(hello) => Self::Hello(hello.bounded()?),
            ToWorkerWire::Probe { source, anew } => Self::Probe {
                source: bounds::text("probe.source", source, bounds::NAME_BYTES)?,
                anew,
            },
            ToWorkerWire::Inspect {
                path,
                drivers,
                digest,
            } => Self::Inspect {
                path: bounded_path(path)?,
                drivers: bounds::texts("inspect.drivers", drivers, bounds::DRIVERS, bounds::NAME_BYTES)?,
                digest: digest.map(Digest),
            },
            ToWorkerWire::Load { path, plan, packed } => Self::Load {
                path: bounded_path(path)?,
                plan: plan.try_into()?,
                packed: packed.map(bounded_path).transpose()?,
            },
            ToWorkerWire::Generate(number, generate) => Self::Generate(number, (*generate).try_into()?),
            ToWorkerWire::Cancel(number) => Self::Cancel(number),
            ToWorkerWire::Ping(nonce) => Self::Ping(nonce),
            ToWorkerWire::Shutdown => Self::Shutdown,
            ToWorkerWire::Pause(number) => Self::Pause(number),
            ToWorkerWire::Resume(number) => Self::Resume(number),
            ToWorkerWire::Measure {
                driver,
                threads,
                bytes,
            } => Self::Measure {
                driver: bounds::text("measure.driver", driver, bounds::NAME_BYTES)?,
                threads,
                bytes: Bytes(bytes),
            },
            ToWorkerWire::Convert(order) => Self::Convert(order.try_into()?),
            ToWorkerWire::Sensitivity(order) => Self::Sensitivity(order.try_into()?),
            ToWorkerWire::Pack(order) => Self::Pack(order.try_into()?),
            ToWorkerWire::Unpack(path) => Self::Unpack(bounded_path(path)?),
        })
    }
}

pub(super) fn bounded_path(path: Vec<u8>) -> Result<PathBuf, FrameError> {
    bounds::within("path", path.len(), bounds::PATH_BYTES)?;
    Ok(OsString::from_vec(path).into())
}
