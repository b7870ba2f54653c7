//! The supervisor's state as plain values, for status pages and metrics.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use mains_contract::Bytes;
use mains_types::Origin;

use crate::Latencies;

/// Everything that the supervisor knows of itself, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// One entry a model, by name.
    pub models: Vec<ModelStatus>,
    /// Bytes that are promised, by model and device.
    pub reservations: Vec<ReservationStatus>,
    /// Counters since the daemon started.
    pub totals: Totals,
    /// Whether it takes no new requests because it is shutting down.
    pub draining: bool,
    /// When devices were last found; `None` before the first probe.
    pub probed_at: Option<SystemTime>,
    /// Why the last probe failed; the devices of the one before are still in use.
    pub probe_error: Option<String>,
}

/// One model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelStatus {
    /// Its name.
    pub name: String,
    /// Its file or folder.
    pub path: PathBuf,
    /// How it came to be known.
    pub origin: Origin,
    /// Bytes of its files.
    pub bytes: Bytes,
    /// What it is doing.
    pub state: ModelState,
    /// The worker's process id.
    pub worker_pid: Option<u32>,
    /// Since when it is loaded.
    pub loaded_since: Option<SystemTime>,
    /// The plan that its worker runs by.
    pub plan: Option<PlacedPlan>,
    /// Requests that are being answered.
    pub running: usize,
    /// Requests that wait.
    pub queued: usize,
    /// Whether it is never unloaded for want of memory or requests.
    pub pinned: bool,
    /// Times that its worker died since the daemon started.
    pub crashes: u64,
    /// Times in a row; two or more are a crash loop.
    pub crashes_in_a_row: u32,
    /// How long until the next start, while backing off.
    pub backoff: Option<Duration>,
    /// Walls that the running worker lacks, in its own words.
    pub walls_missing: Vec<String>,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
    /// What is known of what types of its tensors cost it.
    pub sensitivity: SensitivityState,
}

/// How far the measurement of what types cost a model is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SensitivityState {
    /// Nobody has looked: models are not measured in the background, or something else ran ever since.
    #[default]
    Unknown,
    /// It is measured while nothing else runs.
    Waiting {
        /// Groups of tensors that were measured before.
        groups: u32,
        /// What it waits for beside idle time.
        reason: Option<String>,
    },
    /// It is measured now.
    Measuring {
        /// Steps that are done: texts at first, then groups of tensors.
        done: u32,
        /// All of them; 0 before that is known.
        of: u32,
    },
    /// There is a table, and loads are planned by it.
    Measured,
    /// Its tensors are quantized already and keep their types.
    Kept,
    /// It can not be measured and keeps its types, for this reason. Tried again when its files or this program change.
    Failed(String),
}

impl SensitivityState {
    /// The short name that tables and JSON carry.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Waiting { .. } => "waiting",
            Self::Measuring { .. } => "measuring",
            Self::Measured => "measured",
            Self::Kept => "kept",
            Self::Failed(_) => "failed",
        }
    }
}

/// The figures of a running plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedPlan {
    /// Digest of the variant, hexadecimal.
    pub variant: String,
    /// Its devices, in order.
    pub devices: Vec<String>,
    /// Positions of one sequence.
    pub context: u32,
    /// Sequences at once.
    pub parallel: u32,
    /// Every byte.
    pub bytes: Bytes,
}

/// What a model is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelState {
    /// Not loaded; the next request loads it.
    Stopped,
    /// It is planned, memory is reserved and a worker comes up.
    Starting,
    /// The worker loads it.
    Loading,
    /// It answers.
    Ready,
    /// It finishes its running requests and is unloaded then.
    Draining,
    /// The worker was told to end and is not gone yet.
    Stopping,
    /// Its worker died; a start waits for a while.
    Backoff,
    /// It can not be loaded, and is not tried again until it changes or is asked for by `load`.
    Failed,
}

impl ModelState {
    /// The short name that tables and JSON carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }
}

/// Bytes promised to one model on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationStatus {
    /// The model.
    pub model: String,
    /// The device's id.
    pub device: String,
    /// How many.
    pub bytes: Bytes,
}

/// Counters since the daemon started. They only grow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Requests that ended, by model and outcome: `ok`, or the code of the error.
    pub requests: BTreeMap<(String, &'static str), u64>,
    /// Tokens by model.
    pub tokens: BTreeMap<String, TokenTotals>,
    /// How long requests took, by model.
    pub latencies: BTreeMap<String, Latencies>,
    /// Loads that succeeded, by model.
    pub loads: BTreeMap<String, u64>,
    /// Loads that failed, by model.
    pub load_failures: BTreeMap<String, u64>,
    /// Workers that died, by model.
    pub crashes: BTreeMap<String, u64>,
}

/// Tokens of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenTotals {
    /// Of prompts.
    pub prompt: u64,
    /// Of those, from a cache.
    pub cached: u64,
    /// Passed on to clients.
    pub completion: u64,
}
