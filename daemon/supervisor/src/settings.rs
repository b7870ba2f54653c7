//! What is in force for one model, from its configuration and the general one.

use std::path::PathBuf;
use std::time::Duration;

use mains_types::{Demand, ModelSource};

use crate::config::LONGEST_TIME;
use crate::queue::QueueLimits;
use crate::{ModelConfig, SupervisorConfig};

/// Everything that one model is run by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) source: ModelSource,
    /// Where packed weights may be.
    pub(crate) state_dir: PathBuf,
    pub(crate) demand: Demand,
    pub(crate) preload: bool,
    pub(crate) pin: bool,
    /// `None` is for ever.
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) queue: QueueLimits,
    pub(crate) load_timeout: Duration,
    pub(crate) patience: Duration,
    pub(crate) threads: Option<u32>,
}

impl Settings {
    pub(crate) fn new(source: ModelSource, config: &SupervisorConfig) -> Self {
        let nothing = ModelConfig::tuning(source.name.clone());
        let model = config
            .models
            .iter()
            .find(|model| model.name == source.name)
            .unwrap_or(&nothing);
        let keep_alive = model.keep_alive.or(config.keep_alive).filter(|_| !model.pin);
        Self {
            source,
            state_dir: config.state_dir.clone(),
            demand: model.demand.clone(),
            preload: model.preload,
            pin: model.pin,
            keep_alive: keep_alive.map(|time| time.min(LONGEST_TIME)),
            queue: QueueLimits {
                waiting: config.queue_limit,
                timeout: config.queue_timeout.min(LONGEST_TIME),
            },
            load_timeout: config.load_timeout.min(LONGEST_TIME),
            patience: config.patience,
            threads: config.threads,
        }
    }

    /// How long the model stays loaded after a request that asked for `asked`.
    pub(crate) fn keep_alive_after(&self, asked: Option<u64>) -> Option<Duration> {
        let asked = asked.map(|seconds| Duration::from_secs(seconds).min(LONGEST_TIME));
        asked.filter(|_| !self.pin).or(self.keep_alive)
    }

    /// Whether a worker that was loaded under `self` has to be loaded anew under `other`.
    pub(crate) fn reloads_for(&self, other: &Self) -> bool {
        self.source.path != other.source.path || self.demand != other.demand || self.threads != other.threads
    }

    /// `asked` with what it leaves open filled in.
    pub(crate) fn complete(&self, asked: &Demand) -> Demand {
        Demand {
            context: asked.context.or(self.demand.context),
            parallel: asked.parallel.or(self.demand.parallel),
            devices: if asked.devices.is_empty() {
                self.demand.devices.clone()
            } else {
                asked.devices.clone()
            },
            memory: asked.memory.or(self.demand.memory),
            weights: asked.weights.or(self.demand.weights),
            policy: asked.policy.or(self.demand.policy),
        }
    }
}
