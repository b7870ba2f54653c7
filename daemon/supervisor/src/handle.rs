//! The handle that the interface uses.

mod imports;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mains_contract::Inventory;
use mains_inventory::Sample;
use mains_store::{Cache, Catalogue, Configured, Store, StoreError};
use mains_types::{
    Around, Caller, Demand, Event, Generate, GenerationError, GenerationErrorKind, ModelFacts, ModelSource,
    Plan, Started,
};
use tokio::sync::mpsc;

pub use imports::{Description, Export, ImportPhase, ImportStep, Imported};

use crate::context::Context;
use crate::devices::Freshness;
use crate::link::failure;
use crate::measurements::Measurements;
use crate::model::Model;
use crate::settings::Settings;
use crate::uses::Use;
use crate::variants::{Shelf, Wanted};
use crate::{
    BackgroundConfig, MeasureStep, Metering, ModelStatus, Prepared, Progress, ReservationStatus, Spawn,
    Status, SupervisorConfig, SupervisorError, background, measure, place, relay,
};

/// The store folder is looked at again for an unknown name, but not more often: names can be asked for by anybody.
const RESCAN: Duration = Duration::from_secs(1);

/// What cut-off requests get for their settlement, and workers for their end, when a drain's time is over.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

/// Decides which worker runs what. Cheap to clone; every clone is the same supervisor, which lives until its runtime ends.
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
    context: Arc<Context>,
    store: Store,
    config: Mutex<Current>,
}

struct Current {
    config: SupervisorConfig,
    scanned: Instant,
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
        let store = Store::open(&config.state_dir)?;
        for cleared in store.cleared() {
            tracing::warn!(what = %cleared, "the store was cleared of what a crash had left");
        }
        let catalogue = catalogue(&store, &config)?;
        for problem in &catalogue.problems {
            tracing::warn!(%problem, "a model is not in order");
        }
        let supervisor = Self {
            inner: Arc::new(Inner {
                context: Arc::new(Context::new(
                    spawn,
                    metering,
                    Measurements::open(&config.state_dir),
                    config.state_dir.clone(),
                    Shelf::new(Cache::open(&config.state_dir, config.cache)?),
                )),
                store,
                config: Mutex::new(Current {
                    config,
                    scanned: Instant::now(),
                }),
            }),
        };
        supervisor.apply(catalogue);
        let context = &supervisor.inner.context;
        context
            .lives
            .spawn(background::run(supervisor.clone(), Arc::clone(context)));
        Ok(supervisor)
    }

    /// Asks for tokens. Resolves when the prompt is admitted and its row is durable; dropping the future cancels it.
    ///
    /// # Errors
    /// Every [`GenerationError`], in words for whoever sent the request.
    pub async fn generate(&self, caller: Caller, request: Generate) -> Result<Generation, GenerationError> {
        let name = request.model.clone();
        self.inner.context.turn.interrupt();
        let Some(model) = self.find(&name) else {
            return Err(GenerationError {
                kind: GenerationErrorKind::UnknownModel,
                message: self.unknown(&name).to_string(),
                param: Some("model".to_owned()),
            });
        };
        let context = &self.inner.context;
        let result = if context.is_draining() {
            let message = "the daemon is shutting down".to_owned();
            Err(failure(GenerationErrorKind::ShuttingDown, message))
        } else {
            relay::admit(context, &model, caller, request).await
        };
        if let Err(error) = &result {
            context.count(&name, Some(error.kind));
        }
        result
    }

    /// Every model that can be asked for, by name.
    #[must_use]
    pub fn models(&self) -> Vec<ModelSource> {
        self.rescan();
        self.inner.context.models().values().map(Model::source).collect()
    }

    /// What the model's files say. Read once for each state of the files.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model, or a worker can not read it.
    pub async fn facts(&self, name: &str) -> Result<Arc<ModelFacts>, SupervisorError> {
        let source = self.known(name)?.source();
        self.inner.context.facts(&source.path).await
    }

    /// The plan that `demand`, completed by the model's configuration, gets now. A loaded model's own plan when nothing is
    /// demanded.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model, it can not be read, or nothing fits.
    pub async fn plan(&self, name: &str, demand: &Demand) -> Result<Plan, SupervisorError> {
        let model = self.known(name)?;
        if let Some(plan) = model.plan()
            && *demand == Demand::default()
        {
            return Ok(place::running(&self.inner.context, &model.settings(), &plan).await);
        }
        place::preview(&self.inner.context, &model.settings(), demand).await
    }

    /// The plan that `demand` gets on the devices of another box. Nothing of this box's devices and configuration counts.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model, it can not be read, or nothing fits.
    pub async fn plan_elsewhere(
        &self,
        name: &str,
        demand: &Demand,
        inventory: &Inventory,
    ) -> Result<Plan, SupervisorError> {
        let settings = self.known(name)?.settings();
        place::elsewhere(&self.inner.context, &settings, demand, inventory).await
    }

    /// What is there of the files that a load of `plan` maps.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model, or it can not be read.
    pub async fn prepared(&self, name: &str, plan: &Plan) -> Result<Prepared, SupervisorError> {
        let (settings, context) = (self.known(name)?.settings(), &*self.inner.context);
        let facts = &*context.facts(&settings.source.path).await?;
        let wanted = Wanted {
            context,
            settings: &settings,
            facts,
            plan,
        };
        Ok(wanted.prepared().await)
    }

    /// Makes what a load of the plan for `demand`, completed by the model's configuration, would make: its variant, and its
    /// weights packed. `progress` hears of the writing.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model, nothing fits, or the variant can not be made. Weights that can not be
    /// packed are told in [`Prepared::note`].
    pub async fn prepare(
        &self,
        name: &str,
        demand: &Demand,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Prepared, SupervisorError> {
        let (settings, context) = (self.known(name)?.settings(), &*self.inner.context);
        let _using = context.uses.begin(name, Use::Prepare)?;
        // What it computes would disturb a measurement, and the other way round.
        let _turn = context.turn.take().await;
        let plan = &place::preview(context, &settings, demand).await?;
        let facts = &*context.facts(&settings.source.path).await?;
        let wanted = Wanted {
            context,
            settings: &settings,
            facts,
            plan,
        };
        let mut files = wanted.files(&progress).await?;
        if !wanted.is_whole(&files).await {
            files = wanted.files(&progress).await?;
        }
        let packed = wanted.pack(&files, &progress).await;
        Ok(Prepared {
            note: packed.err().map(|error| error.to_string()),
            ..wanted.prepared().await
        })
    }

    /// What `plan`, as `demand` got it here or on the devices `elsewhere`, would be with other bytes of weights.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model, or it can not be read.
    pub async fn around(
        &self,
        name: &str,
        demand: &Demand,
        plan: &Plan,
        elsewhere: Option<&Inventory>,
    ) -> Result<Vec<Around>, SupervisorError> {
        let settings = self.known(name)?.settings();
        place::around(&self.inner.context, &settings, demand, plan, elsewhere).await
    }

    /// The devices of the box: as they are known, or with `refresh` as every source finds them anew. What a failing source said
    /// last stays in it, with the failure among its problems.
    ///
    /// # Errors
    /// [`SupervisorError`] when no source ever answered.
    pub async fn inventory(&self, refresh: bool) -> Result<Inventory, SupervisorError> {
        let freshness = if refresh {
            Freshness::Anew
        } else {
            Freshness::Known
        };
        let threads = self.current().config.threads;
        self.inner.context.inventory(freshness, threads).await
    }

    /// The devices as they are known, without asking anybody; `None` before the first probe.
    #[must_use]
    pub fn known_devices(&self) -> Option<Inventory> {
        self.inner.context.devices.known()
    }

    /// The last `count` readings of the device `id`, the oldest first; see [`Self::read_devices`].
    #[must_use]
    pub fn device_history(&self, id: &str, count: usize) -> Vec<Sample> {
        self.inner.context.devices.history(id, count)
    }

    /// Takes a reading of every device, from sources that stay open for it. To be called again and again.
    pub async fn read_devices(&self) {
        self.inner.context.devices.read().await;
    }

    /// Measures the device called `device`, or every device that a driver computes on, and keeps what was found. A device on
    /// which a model works is refused, and a model that is wanted meanwhile ends it. Dropping the receiver ends it as well.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is nothing to measure.
    pub async fn measure(
        &self,
        device: Option<&str>,
    ) -> Result<mpsc::Receiver<MeasureStep>, SupervisorError> {
        let threads = self.current().config.threads;
        measure::measure(&self.inner.context, device, threads).await
    }

    /// The state of everything, as plain values.
    #[must_use]
    pub fn status(&self) -> Status {
        let context = &self.inner.context;
        let now = tokio::time::Instant::now().into_std();
        let status = |model: &Model| {
            let status = model.status(now);
            let sensitivity = context.background.state(&status.path);
            ModelStatus {
                sensitivity,
                ..status
            }
        };
        let models = context.models().values().map(status).collect();
        let held = |held: crate::reservations::Held<'_>| ReservationStatus {
            model: held.model.to_owned(),
            device: held.device.to_owned(),
            bytes: held.bytes,
        };
        let (probed_at, probe_error) = context.devices.state();
        Status {
            models,
            reservations: context.reservations().held().map(held).collect(),
            totals: context.totals().clone(),
            draining: context.is_draining(),
            probed_at,
            probe_error,
        }
    }

    /// Loads a model; resolves when it is ready. Tries also one that failed or backs off.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model or it can not be loaded.
    pub async fn load(&self, name: &str) -> Result<(), SupervisorError> {
        let model = self.known(name)?;
        if self.inner.context.is_draining() {
            return Err(SupervisorError::ShuttingDown);
        }
        model.load().await
    }

    /// Unloads a model once its running requests are done; resolves when its worker is gone. Requests that wait load it
    /// again.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model.
    pub async fn unload(&self, name: &str) -> Result<(), SupervisorError> {
        self.known(name)?.unload().await;
        Ok(())
    }

    /// Takes a new configuration. Running requests go on; models that are gone from it are unloaded after theirs. On an
    /// error everything stays as it was.
    ///
    /// # Errors
    /// [`SupervisorError::Store`] when a configured model is not in order.
    pub fn reconfigure(&self, config: SupervisorConfig) -> Result<(), SupervisorError> {
        let catalogue = catalogue(&self.inner.store, &config)?;
        for problem in &catalogue.problems {
            tracing::warn!(%problem, "a model is not in order");
        }
        self.inner.context.shelf.set_budget(config.cache);
        self.current().config = config;
        self.apply(catalogue);
        self.inner.context.quiet_background();
        Ok(())
    }

    /// Takes no new request, lets running ones finish for `bound` and then ends all workers. Returns how many requests
    /// were cut off; each got an error and has its row.
    pub async fn drain(&self, bound: Duration) -> usize {
        let context = &self.inner.context;
        context.drain();
        let models: Vec<_> = context.models().values().cloned().collect();
        models.iter().for_each(Model::drain);
        context.requests.close();
        let finished = tokio::time::timeout(bound, context.requests.wait()).await.is_ok();
        let cut_off = if finished { 0 } else { context.requests.len() };
        context.lives.close();
        let end = async {
            for model in &models {
                model.stop().await;
            }
            context.requests.wait().await;
            context.lives.wait().await;
        };
        if tokio::time::timeout(DRAIN_GRACE, end).await.is_err() {
            tracing::warn!(
                "a worker or a settlement did not end in time; the kernel and the next start see to it"
            );
        }
        cut_off
    }

    /// Starts, changes and retires models so that there are those of `catalogue`.
    fn apply(&self, catalogue: Catalogue) {
        let config = self.current().config.clone();
        let mut models = self.inner.context.models();
        let mut before = std::mem::take(&mut *models);
        let mut after = BTreeMap::new();
        for source in catalogue.models {
            let name = source.name.clone();
            let settings = Settings::new(source, &config);
            let model = match before.remove(&name) {
                Some(model) => {
                    if model.settings() != settings {
                        model.set(settings);
                    }
                    model
                }
                None => Model::start(Arc::clone(&self.inner.context), settings),
            };
            after.insert(name, model);
        }
        if !before.is_empty() {
            // One of them may be measured.
            self.inner.context.quiet_background();
        }
        before.values().for_each(Model::retire);
        *models = after;
    }

    /// Looks for models that were put into the store folder, or taken out, since the last time.
    fn rescan(&self) {
        if self.current().scanned.elapsed() >= RESCAN {
            self.look_again();
        }
    }

    /// Looks for them now.
    fn look_again(&self) {
        if self.inner.context.is_draining() {
            return;
        }
        let config = {
            let mut current = self.current();
            current.scanned = Instant::now();
            current.config.clone()
        };
        match catalogue(&self.inner.store, &config) {
            Ok(catalogue) => self.apply(catalogue),
            Err(error) => tracing::warn!(%error, "the models on disk can not be read; those known stay"),
        }
    }

    fn find(&self, name: &str) -> Option<Model> {
        let known = || self.inner.context.models().get(name).cloned();
        known().or_else(|| {
            self.rescan();
            known()
        })
    }

    fn known(&self, name: &str) -> Result<Model, SupervisorError> {
        self.find(name).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> SupervisorError {
        SupervisorError::UnknownModel {
            name: name.to_owned(),
            known: self.inner.context.models().keys().cloned().collect(),
        }
    }

    /// How models are measured in the background, and on how many threads.
    pub(crate) fn background(&self) -> (Option<BackgroundConfig>, Option<u32>) {
        let current = self.current();
        (current.config.background, current.config.threads)
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.inner.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn catalogue(store: &Store, config: &SupervisorConfig) -> Result<Catalogue, StoreError> {
    let configured: Vec<_> = config
        .models
        .iter()
        .map(|model| Configured {
            name: model.name.clone(),
            path: model.path.clone(),
        })
        .collect();
    store.catalogue(&configured)
}
