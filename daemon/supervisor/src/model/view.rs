//! What others may know of a model.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use mains_types::Plan;

use crate::settings::Settings;
use crate::{ModelState, ModelStatus, PlacedPlan, SensitivityState};

/// The state of a model as its task last published it.
pub(super) struct View {
    pub(super) settings: Settings,
    pub(super) state: ModelState,
    pub(super) worker_pid: Option<u32>,
    pub(super) loaded_since: Option<SystemTime>,
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) running: usize,
    pub(super) queued: usize,
    pub(super) last_used: Instant,
    pub(super) crashes: u64,
    pub(super) crashes_in_a_row: u32,
    pub(super) backoff_until: Option<Instant>,
    pub(super) walls_missing: Vec<String>,
    pub(super) last_error: Option<String>,
}

impl View {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            state: ModelState::Stopped,
            worker_pid: None,
            loaded_since: None,
            plan: None,
            running: 0,
            queued: 0,
            last_used: Instant::now(),
            crashes: 0,
            crashes_in_a_row: 0,
            backoff_until: None,
            walls_missing: Vec::new(),
            last_error: None,
        }
    }

    /// The worker and all that is known of it is gone.
    pub(super) fn forget_worker(&mut self) {
        self.worker_pid = None;
        self.loaded_since = None;
        self.plan = None;
        self.walls_missing.clear();
    }

    pub(super) fn status(&self, now: Instant) -> ModelStatus {
        ModelStatus {
            name: self.settings.source.name.clone(),
            path: self.settings.source.path.clone(),
            origin: self.settings.source.origin,
            bytes: self.settings.source.bytes,
            state: self.state,
            worker_pid: self.worker_pid,
            loaded_since: self.loaded_since,
            plan: self.plan.as_deref().map(placed),
            running: self.running,
            queued: self.queued,
            pinned: self.settings.pin,
            crashes: self.crashes,
            crashes_in_a_row: self.crashes_in_a_row,
            backoff: self
                .backoff_until
                .map(|until| until.saturating_duration_since(now)),
            walls_missing: self.walls_missing.clone(),
            last_error: self.last_error.clone(),
            sensitivity: SensitivityState::default(),
        }
    }
}

fn placed(plan: &Plan) -> PlacedPlan {
    PlacedPlan {
        variant: plan.variant.to_string(),
        devices: plan
            .segments
            .iter()
            .map(|segment| segment.device.clone())
            .collect(),
        context: plan.context,
        parallel: plan.parallel,
        bytes: plan.bytes.total(),
    }
}
