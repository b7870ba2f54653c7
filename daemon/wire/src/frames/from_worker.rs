//! What a worker says to `mainsd`. None of it is trusted.

use mains_contract::{Bytes, Footprint, Measured, ProbeReport};
use mains_types::{Choice, FinishReason, GenerationError, ModelFacts, Started, TokenChunk};
use serde::{Deserialize, Serialize};

use super::events::{ErrorWire, FinishReasonWire, StartedWire, TokenChunkWire};
use super::facts::FactsWire;
use super::hello::WorkerHello;
use super::inventory::ReportWire;
use super::measured::MeasuredWire;
use super::sensitivity::group;
use super::{Frame, FrameError, bounds};

/// A frame from a worker.
#[derive(Debug, Clone, PartialEq)]
pub enum FromWorker {
    /// The first frame.
    Hello(WorkerHello),
    /// What the source that was asked says.
    Report(ProbeReport),
    /// What a model's files say.
    Facts(Box<ModelFacts>),
    /// The model is loaded and requests may come.
    Loaded {
        /// What was allocated on devices.
        footprint: Footprint,
    },
    /// A request's prompts are understood and admitted.
    Started {
        /// The request.
        number: u64,
        /// What is known now.
        started: Started,
    },
    /// Tokens of one choice.
    Tokens {
        /// The request.
        number: u64,
        /// The tokens.
        chunk: TokenChunk,
    },
    /// One choice has ended.
    Finished {
        /// The request.
        number: u64,
        /// The choice.
        choice: Choice,
        /// Why it ended.
        reason: FinishReason,
    },
    /// Every choice of a request has ended.
    Done {
        /// The request.
        number: u64,
    },
    /// A request was refused or ended early.
    Failed {
        /// The request.
        number: u64,
        /// Why.
        error: GenerationError,
    },
    /// Alive; the number of the `Ping`.
    Pong(u64),
    /// What was asked for can not be had: a load or an inspection failed. In words for whoever administers the box.
    Error(String),
    /// So much of a measurement is done, in figures.
    Measuring {
        /// Figures that are known.
        done: u32,
        /// All of them.
        of: u32,
    },
    /// What a driver was measured to do.
    Measured(Box<Measured>),
    /// A file of so many bytes begins.
    Writing {
        /// All of them.
        bytes: u64,
    },
    /// The next bytes of the file.
    Piece(Vec<u8>),
    /// The file is whole.
    Written,
    /// A group of a model's tensors was measured.
    Group {
        /// Its name.
        name: String,
        /// KL divergence with this group alone in its coarsest type, nats a token.
        damage: f64,
    },
    /// These bytes stand in place of as many at the start of the file, which were not known before the rest was.
    Start(Vec<u8>),
    /// One of several files begins; the one before it is whole.
    File {
        /// Its name, without folders.
        name: String,
        /// Its size.
        bytes: u64,
    },
}

/// [`FromWorker`] on the wire. Variants are only added at the end.
#[derive(Debug, Serialize, Deserialize)]
#[doc(hidden)]
pub enum FromWorkerWire {
    Hello(WorkerHello),
    Report(ReportWire),
    Facts(Box<FactsWire>),
    Loaded {
        footprint: [u64; 4],
    },
    Started {
        number: u64,
        started: StartedWire,
    },
    Tokens {
        number: u64,
        chunk: TokenChunkWire,
    },
    Finished {
        number: u64,
        choice: u32,
        reason: FinishReasonWire,
    },
    Done {
        number: u64,
    },
    Failed {
        number: u64,
        error: ErrorWire,
    },
    Pong(u64),
    Error(String),
    Measuring {
        done: u32,
        of: u32,
    },
    Measured(Box<MeasuredWire>),
    Writing {
        bytes: u64,
    },
    Piece(#[serde(with = "serde_bytes")] Vec<u8>),
    Written,
    Group {
        name: String,
        damage: f64,
    },
    Start(#[serde(with = "serde_bytes")] Vec<u8>),
    File {
        name: String,
        bytes: u64,
    },
}

impl Frame for FromWorker {
    type Wire = FromWorkerWire;

    const MAX_BYTES: usize = bounds::FROM_WORKER_BYTES;

    fn into_wire(self) -> FromWorkerWire {
        match self {
            Self::Hello(hello) => FromWorkerWire::Hello(hello),
            Self::Report(report) => FromWorkerWire::Report(report.into()),
            Self::Facts(facts) => FromWorkerWire::Facts(Box::new((*facts).into())),
            Self::Loaded { footprint } => FromWorkerWire::Loaded {
                footprint: [
                    footprint.weights.0,
                    footprint.state.0,
                    footprint.activations.0,
                    footprint.scratch.0,
                ],
            },
            Self::Started { number, started } => FromWorkerWire::Started {
                number,
                started: started.into(),
            },
            Self::Tokens { number, chunk } => FromWorkerWire::Tokens {
                number,
                chunk: chunk.into(),
            },
            Self::Finished {
                number,
                choice,
                reason,
            } => FromWorkerWire::Finished {
                number,
                choice: choice.0,
                reason: reason.into(),
            },
            Self::Done { number } => FromWorkerWire::Done { number },
            Self::Failed { number, error } => FromWorkerWire::Failed {
                number,
                error: error.into(),
            },
            Self::Pong(nonce) => FromWorkerWire::Pong(nonce),
            Self::Error(message) => FromWorkerWire::Error(message),
            Self::Measuring { done, of } => FromWorkerWire::Measuring { done, of },
            Self::Measured(measured) => FromWorkerWire::Measured(Box::new((*measured).into())),
            Self::Writing { bytes } => FromWorkerWire::Writing { bytes },
            Self::Piece(piece) => FromWorkerWire::Piece(piece),
            Self::Written => FromWorkerWire::Written,
            Self::Group { name, damage } => FromWorkerWire::Group { name, damage },
            Self::Start(start) => FromWorkerWire::Start(start),
            Self::File { name, bytes } => FromWorkerWire::File { name, bytes },
        }
    }

    fn from_wire(wire: FromWorkerWire) -> Result<Self, FrameError> {
        Ok(match wire {
            FromWorkerWire::Hello(hello) => Self::Hello(hello.bounded()?),
            FromWorkerWire::Report(report) => Self::Report(report.try_into()?),
            FromWorkerWire::Facts(facts) => Self::Facts(Box::new((*facts).try_into()?)),
            FromWorkerWire::Loaded {
                footprint: [weights, state, activations, scratch],
            } => Self::Loaded {
                footprint: Footprint {
                    weights: Bytes(weights),
                    state: Bytes(state),
                    activations: Bytes(activations),
                    scratch: Bytes(scratch),
                },
            },
            FromWorkerWire::Started { number, started } => Self::Started {
                number,
                started: started.try_into()?,
            },
            FromWorkerWire::Tokens { number, chunk } => Self::Tokens {
                number,
                chunk: chunk.try_into()?,
            },
            FromWorkerWire::Finished {
                number,
                choice,
                reason,
            } => Self::Finished {
                number,
                choice: Choice(choice),
                reason: reason.into(),
            },
            FromWorkerWire::Done { number } => Self::Done { number },
            FromWorkerWire::Failed { number, error } => Self::Failed {
                number,
                error: error.try_into()?,
            },
            FromWorkerWire::Pong(nonce) => Self::Pong(nonce),
            FromWorkerWire::Error(message) => {
                Self::Error(bounds::text("error", message, bounds::MESSAGE_BYTES)?)
            }
            FromWorkerWire::Measuring { done, of } => Self::Measuring { done, of },
            FromWorkerWire::Measured(measured) => Self::Measured(Box::new((*measured).try_into()?)),
            FromWorkerWire::Writing { bytes } => Self::Writing { bytes },
            FromWorkerWire::Piece(piece) => {
                bounds::within("piece", piece.len(), bounds::PIECE_BYTES)?;
                Self::Piece(piece)
            }
            FromWorkerWire::Written => Self::Written,
            FromWorkerWire::Group { name, damage } => {
                let (name, damage) = group((name, damage))?;
                Self::Group { name, damage }
            }
            FromWorkerWire::Start(start) => {
                bounds::within("start", start.len(), bounds::PIECE_BYTES)?;
                Self::Start(start)
            }
            FromWorkerWire::File { name, bytes } => Self::File {
                name: bounds::text("file.name", name, bounds::NAME_BYTES)?,
                bytes,
            },
        })
    }
}
