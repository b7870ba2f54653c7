//! The engine: sequences in, tokens out. Everything but the driver behind it is a pure part of this crate.

mod logits;
mod request;
mod run;
mod segments;

pub use logits::{logits_limits, logits_of};
pub use request::{EngineError, SequenceEvent, SequenceRequest, SubmitError};
pub use run::{Engine, EngineConfig, EngineStats};
pub use segments::Segments;
