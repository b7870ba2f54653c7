//! What all models share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mains_contract::{Device, DeviceKind, Inventory};
use mains_types::{GenerationErrorKind, ModelFacts};
use tokio_util::task::TaskTracker;

use crate::background::Desk;
use crate::devices::{Devices, Freshness};
use crate::inspect::Inspector;
use crate::measure::Turn;
use crate::measurements::Measurements;
use crate::model::Model;
use crate::reservations::{Candidate, Reservations};
use crate::tables::Tables;
use crate::uses::Uses;
use crate::variants::{Shelf, Works};
use crate::{Metering, Spawn, SupervisorError, Totals};

/// The outcome of a request that was answered, as counters carry it.
const OK: &str = "ok";

/// Shared by the handle, the tasks of models and those of requests.
pub(crate) struct Context {
    pub(crate) spawn: Arc<dyn Spawn>,
    pub(crate) metering: Arc<dyn Metering>,
    pub(crate) devices: Devices,
    inspector: Inspector,
    tables: Tables,
    pub(crate) shelf: Shelf,
    pub(crate) works: Works,
    pub(crate) uses: Uses,
    pub(crate) reservations: Arc<Mutex<Reservations>>,
    pub(crate) measurements: Measurements,
    pub(crate) turn: Turn,
    pub(crate) background: Desk,
    models: Mutex<BTreeMap<String, Model>>,
    totals: Mutex<Totals>,
    draining: AtomicBool,
    started: Instant,
    /// Requests from their start to their settlement.
    pub(crate) requests: TaskTracker,
    /// Lives of workers, to the proof of their end.
    pub(crate) lives: TaskTracker,
}

impl Context {
    pub(crate) fn new(
        spawn: Arc<dyn Spawn>,
        metering: Arc<dyn Metering>,
        measurements: Measurements,
        state_dir: PathBuf,
        shelf: Shelf,
    ) -> Self {
        let reservations = Arc::new(Mutex::new(Reservations::default()));
        Self {
            devices: Devices::new(&spawn, Arc::clone(&reservations)),
            inspector: Inspector::new(Arc::clone(&spawn), &state_dir),
            tables: Tables::new(state_dir.clone()),
            shelf,
            works: Works::default(),
            uses: Uses::default(),
            spawn,
            metering,
            reservations,
            measurements,
            turn: Turn::default(),
            background: Desk::new(state_dir.clone()),
            models: Mutex::default(),
            totals: Mutex::default(),
            draining: AtomicBool::new(false),
            started: tokio::time::Instant::now().into_std(),
            requests: TaskTracker::new(),
            lives: TaskTracker::new(),
        }
    }

    /// What is known of the files at `path` as they are now, with what was measured of them.
    pub(crate) async fn facts(&self, path: &Path) -> Result<Arc<ModelFacts>, SupervisorError> {
        let facts = self.inspector.facts(path).await?;
        Ok(self.tables.with_table(facts).await)
    }

    /// The same files are at `to` now.
    pub(crate) fn moved(&self, from: &Path, to: &Path) {
        self.inspector.moved(from, to);
    }

    /// The devices as models are planned on them, with `threads` where that is configured and what was measured.
    pub(crate) async fn inventory(
        &self,
        freshness: Freshness,
        threads: Option<u32>,
    ) -> Result<Inventory, SupervisorError> {
        let mut inventory = self.devices.inventory(freshness).await?;
        for device in &mut inventory.devices {
            configure(device, threads);
            self.measurements.complete(device);
        }
        Ok(inventory)
    }

    pub(crate) fn models(&self) -> MutexGuard<'_, BTreeMap<String, Model>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reservations(&self) -> MutexGuard<'_, Reservations> {
        self.reservations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the catalogue has a model at `path`.
    pub(crate) fn has_files(&self, path: &Path) -> bool {
        self.models().values().any(|model| model.source().path == path)
    }

    /// Since when nothing runs or is asked for; `None` while something does.
    pub(crate) fn quiet_since(&self) -> Option<Instant> {
        let mut since = self.turn.interrupted().unwrap_or(self.started);
        for model in self.models().values() {
            since = since.max(model.quiet_since()?);
        }
        Some(since)
    }

    /// Counts a request's end.
    pub(crate) fn count(&self, model: &str, error: Option<GenerationErrorKind>) {
        let outcome = error.map_or(OK, GenerationErrorKind::code);
        *self
            .totals()
            .requests
            .entry((model.to_owned(), outcome))
            .or_default() += 1;
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.quiet_background();
    }

    /// Ends a measurement in the background and has its task look anew.
    pub(crate) fn quiet_background(&self) {
        self.turn.end_background();
        self.background.changed.notify_one();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Models that could be unloaded for `model`'s sake.
    pub(crate) fn evictable(&self, model: &str) -> Vec<Candidate> {
        let models = self.models();
        let others = models.iter().filter(|(name, _)| *name != model);
        others
            .filter_map(|(name, other)| {
                Some(Candidate {
                    model: name.clone(),
                    last_used: other.evictable_since()?,
                })
            })
            .collect()
    }

    /// Unloads `model` if it is still idle. False when it is not, or is gone.
    pub(crate) async fn evict(&self, model: &str) -> bool {
        let model = self.models().get(model).cloned();
        match model {
            Some(model) => model.evict().await,
            None => false,
        }
    }
}

/// Only drivers that may compute on `device` count, and those on the CPU have as many threads as are configured.
fn configure(device: &mut Device, threads: Option<u32>) {
    let usable = &device.usable_by;
    device.drivers.retain(|driver| usable.contains(&driver.name));
    let Some(threads) = threads.filter(|_| device.kind == DeviceKind::Cpu) else {
        return;
    };
    for driver in &mut device.drivers {
        driver.threads = threads;
    }
}
