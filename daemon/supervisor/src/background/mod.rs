//! Measures what types cost each model, one model at a time and only while nothing else runs: the planner chooses by it from the
//! next load on.
//!
//! [`schedule`] decides (pure), [`need`] says what memory it takes (pure), [`session`] carries one worker's turn out and [`keep`]
//! writes the files. What was measured is kept after each group, so that a request, a crash or a power cut costs one group.

pub(crate) mod keep;
pub(crate) mod need;
mod schedule;
mod session;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mains_store::{Identity, Store, StoreError};
use mains_types::{ModelFacts, ModelSource};
use tokio::sync::Notify;

use crate::context::Context;
use crate::{SensitivityState, Supervisor};
use schedule::{End, LOOK_EVERY, REST, Schedule, due};
use session::{Model, measure};

/// How models are measured in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackgroundConfig {
    /// How long nothing else must have run.
    pub after: Duration,
    /// What the groups and whole choices of one model may take.
    pub most: Duration,
    /// Groups of tensors that are measured end to end, at most; the others follow by the error in their outputs.
    pub groups: u32,
    /// Texts that they are measured on, at most.
    pub texts: u32,
}

impl Default for BackgroundConfig {
    /// A minute is longer than the pauses of a conversation. A model of 8 billion weights on two cores is done in two hours, with
    /// some dozen of its 226 groups measured end to end. Smaller ones have fewer than 256 groups; 24 texts of 256 tokens tell a
    /// group's damage to a few percent.
    fn default() -> Self {
        Self {
            after: Duration::from_mins(1),
            most: Duration::from_hours(2),
            groups: 256,
            texts: 24,
        }
    }
}

/// What is known of measurements, for status and for the task.
pub(crate) struct Desk {
    state_dir: PathBuf,
    schedule: Mutex<Schedule>,
    /// By the model's path.
    states: Mutex<HashMap<PathBuf, SensitivityState>>,
    /// The configuration changed, or the daemon drains.
    pub(crate) changed: Notify,
}

impl Desk {
    pub(crate) fn new(state_dir: PathBuf) -> Self {
        Self {
            state_dir,
            schedule: Mutex::default(),
            states: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// What is known of the model at `path`.
    pub(crate) fn state(&self, path: &Path) -> SensitivityState {
        self.states().get(path).cloned().unwrap_or_default()
    }

    /// What is known of the model at `path`, whose files say `facts`. Before anybody has looked, what they say counts: with
    /// measurements in the background `on` it waits for its turn.
    pub(crate) fn state_of(&self, path: &Path, facts: &ModelFacts, on: bool) -> SensitivityState {
        match self.state(path) {
            _ if facts.sensitivity.is_some() => SensitivityState::Measured,
            SensitivityState::Unknown if !need::is_measurable(facts) => SensitivityState::Kept,
            SensitivityState::Unknown if on => SensitivityState::Waiting {
                groups: 0,
                reason: None,
            },
            known => known,
        }
    }

    fn show(&self, path: &Path, state: SensitivityState) {
        self.states().insert(path.to_owned(), state);
    }

    fn states(&self) -> MutexGuard<'_, HashMap<PathBuf, SensitivityState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks for models and measures them until the daemon drains.
pub(crate) async fn run(supervisor: Supervisor, context: Arc<Context>) {
    let desk = &context.background;
    let mut seen = Seen::default();
    // What a crash has left goes at once, also where nothing is measured; where that fails, each turn tries again and tells.
    let _opened = seen.open(&desk.state_dir).await;
    while !context.is_draining() {
        let until = match supervisor.background() {
            (Some(config), threads) => turn(&supervisor, &context, &mut seen, &config, threads).await,
            (None, _) => now() + LOOK_EVERY,
        };
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            () = desk.changed.notified() => {}
        }
    }
}

/// Measures the model whose turn it is, if one is and nothing else runs. When to look again.
async fn turn(
    supervisor: &Supervisor,
    context: &Arc<Context>,
    seen: &mut Seen,
    config: &BackgroundConfig,
    threads: Option<u32>,
) -> Instant {
    if let Err(at) = due(config, context.quiet_since(), now()) {
        return at;
    }
    if let Err(error) = seen.open(&context.background.state_dir).await {
        tracing::warn!(%error, "models can not be measured in the background");
        return now() + REST;
    }
    let models = look(supervisor, context, seen).await;
    // Reading a new model's files takes a while.
    if let Err(at) = due(config, context.quiet_since(), now()) {
        return at;
    }
    let desk = &context.background;
    let next = desk.schedule().next(now());
    let model = match next {
        Ok(digest) => models.get(&digest),
        Err(at) => return at,
    };
    let Some(model) = model else {
        return now() + LOOK_EVERY;
    };
    // First what ends it, then whether it had come before. Until its record is kept nobody removes the model.
    let Some((_turn, wanted)) = context.turn.background() else {
        return now() + config.after.min(LOOK_EVERY);
    };
    if !context.has_files(&model.path) {
        return now();
    }
    let end = match due(config, context.quiet_since(), now()) {
        Ok(()) => measure(context, desk, model, config, threads, wanted).await,
        Err(_) => End::Interrupted,
    };
    tell(desk, model, &end);
    let again = match end {
        // Who has the devices need not be a model.
        End::Interrupted => now() + config.after.min(LOOK_EVERY),
        _ => now(),
    };
    let digest = model.facts.digest;
    let kept = desk.schedule().ended(config, digest, end, now());
    if let Some(record) = kept {
        let state_dir = desk.state_dir.clone();
        let write = tokio::task::spawn_blocking(move || keep::write(&state_dir, &digest, &record));
        if let Ok(Err(error)) = write.await {
            tracing::warn!(model = %model.name, %error, "what is known of its measurement is not kept");
        }
    }
    show_waiting(desk, model);
    again
}

fn tell(desk: &Desk, model: &Model, end: &End) {
    let name = &model.name;
    let record = desk
        .schedule()
        .record(&model.facts.digest)
        .map(|(record, _)| record.groups.len());
    let known = record.unwrap_or(0);
    match end {
        End::Done => {
            tracing::info!(model = %name, "what types cost it is measured; the next load is planned by it")
        }
        End::Interrupted => {
            tracing::info!(model = %name, known, "its measurement pauses: something else runs")
        }
        End::Died(why) => tracing::warn!(model = %name, known, "the worker that measured it {why}"),
        End::Refused(why) => {
            tracing::warn!(model = %name, reason = %why, "it can not be measured and keeps its types")
        }
        End::Later(why) => tracing::info!(model = %name, reason = %why, "it is not measured now"),
    }
}

/// Shows what the record says of a model that is not measured at this moment.
fn show_waiting(desk: &Desk, model: &Model) {
    let state = match desk.schedule().record(&model.facts.digest) {
        None => SensitivityState::Measured,
        Some((record, waits_for)) => match &record.failed {
            Some(reason) => SensitivityState::Failed(reason.clone()),
            None => SensitivityState::Waiting {
                groups: u32::try_from(record.groups.len()).unwrap_or(u32::MAX),
                reason: waits_for.map(str::to_owned),
            },
        },
    };
    desk.show(&model.path, state);
}

/// Models by the digest of their files.
type Models = BTreeMap<mains_types::Digest, Model>;

/// What is known of files that were looked at, for the state that they were in.
#[derive(Default)]
struct Seen {
    files: HashMap<PathBuf, (Identity, Option<Arc<ModelFacts>>)>,
    /// Whether the folder of what is kept is in order.
    folder: bool,
}

/// Every model that is to be measured, noted in the schedule.
async fn look(supervisor: &Supervisor, context: &Arc<Context>, seen: &mut Seen) -> Models {
    let desk = &context.background;
    let mut models = Models::new();
    for source in supervisor.models() {
        let Some(facts) = seen.facts(context, &source).await else {
            continue;
        };
        let model = Model {
            name: source.name,
            path: source.path,
            facts,
        };
        let digest = model.facts.digest;
        if Store::sensitivity(&desk.state_dir, &digest).is_file() {
            desk.show(&model.path, SensitivityState::Measured);
        } else if need::is_measurable(&model.facts) {
            if desk.schedule().record(&digest).is_none() {
                let record = keep::read(&desk.state_dir, &digest);
                desk.schedule().found(digest, source.created, record);
            }
            show_waiting(desk, &model);
            models.entry(digest).or_insert(model);
        } else {
            desk.show(&model.path, SensitivityState::Kept);
        }
    }
    let digests: Vec<_> = models.keys().copied().collect();
    desk.schedule().keep(&digests);
    models
}

impl Seen {
    /// Puts the folder of what is kept in order, once.
    async fn open(&mut self, state_dir: &Path) -> Result<(), StoreError> {
        if self.folder {
            return Ok(());
        }
        let state_dir = state_dir.to_owned();
        let opened = tokio::task::spawn_blocking(move || keep::open_folder(&state_dir)).await;
        // A task that panicked is tried again.
        self.folder = matches!(opened, Ok(Ok(())));
        opened.unwrap_or(Ok(()))
    }

    /// The facts of a model's files. Files that could not be read are not tried again before they change.
    async fn facts(&mut self, context: &Context, source: &ModelSource) -> Option<Arc<ModelFacts>> {
        let identity = Identity::of(&source.path).ok()?;
        if let Some((same, facts)) = self.files.get(&source.path)
            && *same == identity
        {
            return facts.clone();
        }
        let read = context.facts(&source.path).await;
        if let Err(error) = &read {
            let reason = format!("its files can not be read: {error}");
            context
                .background
                .show(&source.path, SensitivityState::Failed(reason));
        }
        let facts = read.ok();
        self.files.insert(source.path.clone(), (identity, facts.clone()));
        facts
    }
}

/// The runtime's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
