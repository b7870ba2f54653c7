//! Why a question to the supervisor has no answer.

use mains_store::StoreError;
use mains_types::NoPlan;

use crate::SpawnError;

/// Failures of everything but a generation, in words for whoever administers the box.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SupervisorError {
    /// There is no model of that name.
    #[error("there is no model {name:?}; known are: {}", list(.known))]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The model fits nowhere.
    #[error("model {model} can not be placed: {source}")]
    NoPlan {
        /// The model.
        model: String,
        /// Why, and what would fit.
        source: NoPlan,
    },
    /// The worker of a role could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// A worker refused, died or was too slow.
    #[error("the {role} worker {reason}")]
    Worker {
        /// The worker's role.
        role: &'static str,
        /// What happened.
        reason: String,
    },
    /// The model is there and can not be loaded.
    #[error("model {model} is not available: {reason}")]
    Unavailable {
        /// The model.
        model: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A device that can not be measured.
    #[error("device {device} can not be measured: {reason}")]
    NotMeasured {
        /// The device.
        device: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The models on disk are not in order.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The daemon is shutting down.
    #[error("the daemon is shutting down")]
    ShuttingDown,
}

/// The model or file `name` has something, or something has it, that keeps it from what was asked; `why` says what to do.
pub(crate) fn taken(name: &str, why: &str) -> SupervisorError {
    let (name, why) = (name.to_owned(), why.to_owned());
    StoreError::Taken { name, why }.into()
}

/// `names` as a sentence has them.
pub(crate) fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
