//! Decides which worker runs what: queues, life cycles, reservations, and the spawning of workers.
//!
//! `queue`, `lifecycle` and `reservations` are pure: they take values, time included, and return values. Around
//! them, one task a model executes what they decide, and one task a request carries its tokens through the ledger to
//! the client. [`Supervisor`] is the handle that the interface uses.
//!
//! Invariant: nothing here opens a model's contents, and nothing a worker says is believed beyond its bounds.

mod background;
mod config;
mod context;
mod devices;
mod digests;
mod error;
mod handle;
mod inspect;
mod latency;
mod life;
mod lifecycle;
mod link;
mod measure;
mod measurements;
mod metering;
mod model;
mod place;
mod queue;
mod ready;
mod relay;
mod reservations;
mod settings;
pub mod spawn;
mod status;
mod tables;
mod uses;
mod variants;
mod worker;

pub use background::BackgroundConfig;
pub use config::{
    DEFAULT_KEEP_ALIVE, DEFAULT_LOAD_TIMEOUT, DEFAULT_PATIENCE, DEFAULT_QUEUE_LIMIT, DEFAULT_QUEUE_TIMEOUT,
    ModelConfig, SupervisorConfig,
};
pub use error::SupervisorError;
pub use handle::{Description, Export, Generation, ImportPhase, ImportStep, Imported, Supervisor};
pub use latency::{LATENCY_BOUNDS, Latencies, LatencyCounts};
pub use mains_inventory::{SAMPLES, Sample};
pub use mains_store::{Removed, StoreError};
pub use measure::MeasureStep;
pub use metering::{Meter, Metering};
pub use spawn::fork::ForkSpawn;
pub use spawn::systemd::SystemdSpawn;
pub use spawn::{Limits, Role, Spawn, SpawnError, WorkerConnection, WorkerEnd, WorkerProcess};
pub use status::{
    ModelState, ModelStatus, PlacedPlan, ReservationStatus, SensitivityState, Status, TokenTotals, Totals,
};
pub use variants::{Prepared, Progress, Step, VariantState};
