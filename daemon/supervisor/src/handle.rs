//! The handle that the interface uses.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mains_contract::Inventory;
use mains_types::{
    Caller, Demand, Event, Generate, GenerationError, GenerationErrorKind, ModelFacts, ModelSource, Plan,
    Started,
};
use tokio::sync::mpsc;

use crate::{Metering, Spawn, Status, SupervisorConfig, SupervisorError, Totals};

/// Decides which worker runs what. Cheap to clone; every clone is the same supervisor.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

/// A request whose prompt is admitted. Dropping it cancels the request.
#[derive(Debug)]
pub struct Generation {
    /// What is known now.
    pub started: Started,
    /// Everything that follows: tokens and endings of choices, then `Done` or `Failed`, then the channel's end.
    pub events: mpsc::Receiver<Event>,
}

struct Inner {
    config: Mutex<SupervisorConfig>,
    #[expect(dead_code, reason = "the tasks behind the handle follow")]
    spawn: Arc<dyn Spawn>,
    #[expect(dead_code, reason = "the tasks behind the handle follow")]
    metering: Arc<dyn Metering>,
}

impl Supervisor {
    /// Opens the models on disk (writing the pilot if it is not there) and starts to supervise. Must be called within a
    /// tokio runtime; models to preload start to load.
    ///
    /// # Errors
    /// [`SupervisorError::Store`] when a configured model is not in order or the store can not be written.
    pub fn start(
        config: SupervisorConfig,
        spawn: Arc<dyn Spawn>,
        metering: Arc<dyn Metering>,
    ) -> Result<Self, SupervisorError> {
        Ok(Self {
            inner: Arc::new(Inner {
                config: Mutex::new(config),
                spawn,
                metering,
            }),
        })
    }

    /// Asks for tokens. Resolves when the prompt is admitted and its row is durable; dropping the future cancels it.
    ///
    /// # Errors
    /// Every [`GenerationError`], in words for whoever sent the request.
    pub async fn generate(&self, _caller: Caller, request: Generate) -> Result<Generation, GenerationError> {
        Err(GenerationError {
            kind: GenerationErrorKind::UnknownModel,
            message: SupervisorError::UnknownModel {
                name: request.model,
                known: self.names(),
            }
            .to_string(),
            param: Some("model".to_owned()),
        })
    }

    /// Every model that can be asked for, by name.
    #[must_use]
    pub fn models(&self) -> Vec<ModelSource> {
        let config = self.inner.config.lock().unwrap_or_else(PoisonError::into_inner);
        let source = |path: &PathBuf, name: &str| ModelSource {
            name: name.to_owned(),
            path: path.clone(),
            created: 0,
        };
        let of = |model: &crate::ModelConfig| model.path.as_ref().map(|path| source(path, &model.name));
        config.models.iter().filter_map(of).collect()
    }

    /// What the model's files say. Read once for each state of the files.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model, or a worker can not read it.
    pub async fn facts(&self, name: &str) -> Result<Arc<ModelFacts>, SupervisorError> {
        Err(self.unknown(name))
    }

    /// The plan that `demand`, completed by the model's configuration, gets now. A loaded model's own plan when nothing is
    /// demanded.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model, it can not be read, or nothing fits.
    pub async fn plan(&self, name: &str, _demand: &Demand) -> Result<Plan, SupervisorError> {
        Err(self.unknown(name))
    }

    /// The devices of the box: those of the last probe, or with `refresh` of a new one. When a probe fails, the last good
    /// answer is given with the failure among its problems.
    ///
    /// # Errors
    /// [`SupervisorError`] when no probe ever succeeded.
    pub async fn inventory(&self, _refresh: bool) -> Result<Inventory, SupervisorError> {
        Err(SupervisorError::ShuttingDown)
    }

    /// The state of everything, as plain values.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            models: Vec::new(),
            reservations: Vec::new(),
            totals: Totals::default(),
            draining: false,
            probed_at: None,
            probe_error: None,
        }
    }

    /// Loads a model; resolves when it is ready. Tries also one that failed or backs off.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model or it can not be loaded.
    pub async fn load(&self, name: &str) -> Result<(), SupervisorError> {
        Err(self.unknown(name))
    }

    /// Unloads a model once its running requests are done; resolves when its worker is gone. Requests that wait load it
    /// again.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model.
    pub async fn unload(&self, name: &str) -> Result<(), SupervisorError> {
        Err(self.unknown(name))
    }

    /// Takes a new configuration. Running requests go on; models that are gone from it are unloaded after theirs. On an
    /// error everything stays as it was.
    ///
    /// # Errors
    /// [`SupervisorError::Store`] when a configured model is not in order.
    pub fn reconfigure(&self, config: SupervisorConfig) -> Result<(), SupervisorError> {
        *self.inner.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Takes no new request, lets running ones finish for `bound` and then ends all workers. Returns how many requests
    /// were cut off; each got an error and has its row.
    pub async fn drain(&self, _bound: Duration) -> usize {
        0
    }

    fn names(&self) -> Vec<String> {
        self.models().into_iter().map(|model| model.name).collect()
    }

    fn unknown(&self, name: &str) -> SupervisorError {
        SupervisorError::UnknownModel {
            name: name.to_owned(),
            known: self.names(),
        }
    }
}
