//! What the supervisor is told to do.

use std::path::PathBuf;
use std::time::Duration;

use mains_types::Demand;

use crate::BackgroundConfig;

/// Everything that a supervisor is configured by. Only values: reading files is the daemon's work.
#[derive(Debug, Clone, PartialEq)]
pub struct SupervisorConfig {
    /// Folder of the daemon's state; models are in `models` below it.
    pub state_dir: PathBuf,
    /// Models by configuration. Those of the store folder come on top; a name here wins over the same name there.
    pub models: Vec<ModelConfig>,
    /// Requests of one model that may wait. One more is refused as overloaded.
    pub queue_limit: usize,
    /// How long a request may wait before it is refused as overloaded.
    pub queue_timeout: Duration,
    /// How long a model stays loaded after its last request; `None` is for ever.
    pub keep_alive: Option<Duration>,
    /// How long a model may take from its worker's start until it is loaded.
    pub load_timeout: Duration,
    /// How long a loaded worker may leave a ping unanswered before it counts as hung and is killed.
    pub patience: Duration,
    /// Threads of a worker that computes on the CPU; the worker's own choice when absent.
    pub threads: Option<u32>,
    /// Measure models while nothing else runs; not at all when absent.
    pub background: Option<BackgroundConfig>,
    /// Bytes on disk that files made of models may take; a quarter of the disk when absent.
    pub cache: Option<u64>,
}

impl SupervisorConfig {
    /// The defaults for the state folder `state_dir`, with no model but those of the store.
    #[must_use]
    pub fn new(state_dir: PathBuf) -> Self {
        Self {
            state_dir,
            models: Vec::new(),
            queue_limit: DEFAULT_QUEUE_LIMIT,
            queue_timeout: DEFAULT_QUEUE_TIMEOUT,
            keep_alive: Some(DEFAULT_KEEP_ALIVE),
            load_timeout: DEFAULT_LOAD_TIMEOUT,
            patience: DEFAULT_PATIENCE,
            threads: None,
            background: None,
            cache: None,
        }
    }
}

/// One model by configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The name that clients use: 1 to 128 of `A-Z a-z 0-9 . _ : -`.
    pub name: String,
    /// A GGUF file or a Hugging Face folder; `None` for a model of the store folder that is only tuned here.
    pub path: Option<PathBuf>,
    /// Load it when the daemon starts.
    pub preload: bool,
    /// Never unload it for want of memory or of requests.
    pub pin: bool,
    /// How long it stays loaded after its last request; [`SupervisorConfig::keep_alive`] when absent.
    pub keep_alive: Option<Duration>,
    /// What it is planned for.
    pub demand: Demand,
}

impl ModelConfig {
    /// A model called `name` at `path` with nothing else asked for.
    #[must_use]
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
            ..Self::tuning(name)
        }
    }

    /// The settings of a model of the store folder.
    #[must_use]
    pub fn tuning(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: None,
            preload: false,
            pin: false,
            keep_alive: None,
            demand: Demand::default(),
        }
    }
}

/// Waiting requests of one model: as many as a site's 64 clients with a few calls each; their bodies stay in memory, at
/// most 8 MiB each.
pub const DEFAULT_QUEUE_LIMIT: usize = 256;

/// Longer than loading a large model from a disk takes, shorter than the 10 minutes after which `OpenAI`'s clients give up.
pub const DEFAULT_QUEUE_TIMEOUT: Duration = Duration::from_mins(5);

/// As long as a person thinks between two questions; the field's customary value.
pub const DEFAULT_KEEP_ALIVE: Duration = Duration::from_mins(5);

/// 64 GiB from a disk of 250 MB/s take 275 s.
pub const DEFAULT_LOAD_TIMEOUT: Duration = Duration::from_mins(10);

/// A worker answers while it makes progress, so this is for one step that hangs: long enough for the slowest step on a box
/// that swaps, short enough that clients still wait.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(30);

/// Longest of all times here: a year is for ever, and sums of times stay representable.
pub(crate) const LONGEST_TIME: Duration = Duration::from_hours(365 * 24);
