//! Nouns of the daemon, with units. No I/O, no serialisation: that is `mains-wire`'s.
//!
//! Nouns of devices come from `mains-contract`.

mod generate;
mod identity;
mod model;
mod plan;
mod sampling;
mod sensitivity;
mod size;
mod split;
mod stored;
mod usage;

pub use generate::{
    ChatEnd, ChatPrompt, Choice, Event, FinishReason, Generate, GenerationError, GenerationErrorKind, Prompt,
    Started, TokenChunk, TokenLogprob,
};
pub use identity::{Caller, Peer};
pub use model::{
    About, Digest, DriverCosts, ModelFacts, ModelSource, Origin, RuntimeModel, SamplingDefaults, SharedCosts,
    TensorFacts,
};
pub use plan::{Around, Demand, Nearest, NoPlan, Plan, PlanBytes, PlannedTensor, Policy, Predicted, Segment};
pub use sampling::{LogitBias, Sampling};
pub use sensitivity::{GroupSensitivity, Sensitivity};
pub use size::{NoSize, parse_size};
pub use split::{model_files, split_name, split_part};
pub use stored::{ImportFile, ImportKind, ImportRequest, ImportState, Manifest, ModelKind, StoredFile};
pub use usage::{Settlement, UsageTotals};
