//! From a model's files to tokens: family declarations over shared blocks, paged state, the scheduler, sampling, and the
//! engine that drives a loaded model with them.
//!
//! Invariant: no concrete driver is named here, and nothing but a driver does work that takes long.

pub mod blocks;
mod engine;
pub mod importance;
pub mod models;
pub mod sampling;
pub mod scheduler;
pub mod state;

pub use engine::{
    Engine, EngineConfig, EngineError, EngineStats, Segments, SequenceEvent, SequenceRequest, SubmitError,
    logits_limits, logits_of,
};
pub use scheduler::SequenceId;
