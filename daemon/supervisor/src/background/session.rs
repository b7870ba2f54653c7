//! One worker's turn with one model.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mains_store::{Identity, Store};
use mains_types::ModelFacts;
use mains_wire::files::{MAX_SENSITIVITY_BYTES, read_sensitivity, write_sensitivity};
use mains_wire::frames::{FromWorker, SensitivityOrder, ToWorker};
use tokio::sync::watch;
use tokio::time::Instant;

use super::keep::{self, ReceiveError};
use super::schedule::End;
use super::{BackgroundConfig, Desk, need, now};
use crate::context::Context;
use crate::devices::Freshness;
use crate::link::{self, Link, LinkError, Started};
use crate::place::Room;
use crate::{Limits, Role, SensitivityState, WorkerProcess};

/// A worker that says nothing for so long hangs: one product of the largest model takes minutes.
const SILENCE: Duration = Duration::from_mins(30);

/// What a worker may take beyond the time of groups and whole choices: for the importance of columns before, for scores after.
const BESIDE: Duration = Duration::from_hours(2);

/// Parts of a measurement whose ends are told in the log.
const TOLD_PARTS: u64 = 4;

/// A model whose turn it is.
pub(super) struct Model {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) facts: Arc<ModelFacts>,
}

/// Measures `model` until its table is kept or something else wants the devices, as `wanted` tells.
pub(super) async fn measure(
    context: &Arc<Context>,
    desk: &Desk,
    model: &Model,
    config: &BackgroundConfig,
    threads: Option<u32>,
    wanted: watch::Receiver<()>,
) -> End {
    let Ok(files) = Identity::of(&model.path) else {
        return End::Later("its files are not there".to_owned());
    };
    let (room, whole) = match reserve(context, model, config.texts, threads).await {
        Ok(reserved) => reserved,
        Err(why) => return End::Later(why),
    };
    let order = order(desk, model, config, threads, whole);
    let limits = Limits {
        readable: [&order.path]
            .into_iter()
            .chain(&order.importance)
            .cloned()
            .collect(),
        memory: Some(room.bytes),
    };
    match work(context, desk, model, (order, limits), wanted).await {
        Ok(_) if Identity::of(&model.path).ok() != Some(files) => {
            End::Later("its files changed while it was measured".to_owned())
        }
        Ok(table) => keep_table(desk, model, table).await,
        Err(end) => end,
    }
}

/// Bytes that are promised to a measurement.
struct Reserved {
    _room: Room,
    bytes: mains_contract::Bytes,
}

/// Reserves what is needed, with whole choices where there is memory for them. Nothing is unloaded for it.
async fn reserve(
    context: &Arc<Context>,
    model: &Model,
    texts: u32,
    threads: Option<u32>,
) -> Result<(Reserved, bool), String> {
    let inventory = context.inventory(Freshness::Memory, threads).await;
    let inventory = inventory.map_err(|error| error.to_string())?;
    let Some(device) = need::device(&inventory.devices) else {
        return Err("no driver computes on this box's processors".to_owned());
    };
    let facts = &model.facts;
    let demand = need::demand(facts, device);
    let seen = context.reservations().as_seen(&inventory, &[]);
    let load = mains_planner::plan(&seen, facts, need::HOLDER, &demand);
    let load = load.map_err(|no| format!("memory: {}", no.reason))?;
    let mut short = String::new();
    for whole in [true, false] {
        let plan = need::plan(facts, &load, texts, whole);
        let bytes = plan.bytes.total();
        match Room::reserve(context, &plan) {
            Ok(room) => return Ok((Reserved { _room: room, bytes }, whole)),
            Err(shortage) => {
                short = format!("memory: it takes {bytes}, and {shortage}");
            }
        }
    }
    Err(short)
}

fn order(
    desk: &Desk,
    model: &Model,
    config: &BackgroundConfig,
    threads: Option<u32>,
    whole: bool,
) -> SensitivityOrder {
    let digest = model.facts.digest;
    let (time, record) = desk.schedule().begin(config, digest, now());
    let importance = Store::importance(&desk.state_dir, &digest);
    let (name, known) = (&model.name, record.groups.len());
    tracing::info!(model = %name, known, "measuring in the background what types cost it");
    desk.show(&model.path, SensitivityState::Measuring { done: 0, of: 0 });
    SensitivityOrder {
        path: model.path.clone(),
        model: digest,
        importance: importance.is_file().then_some(importance),
        threads: threads.unwrap_or(0),
        texts: config.texts,
        groups: config.groups,
        time,
        whole,
        known: record.groups,
    }
}

/// Starts a worker, gives it `order` and hears what it says, to the proof of its end. Gives the file of its table.
async fn work(
    context: &Context,
    desk: &Desk,
    model: &Model,
    (order, limits): (SensitivityOrder, Limits),
    wanted: watch::Receiver<()>,
) -> Result<Vec<u8>, End> {
    let mut until = Until::new(wanted, order.time + BESIDE);
    let starting = link::start(&*context.spawn, Role::Convert, limits);
    let started = until.or(starting).await?;
    let started = started.map_err(|error| End::Later(error.of(Role::Convert).to_string()))?;
    let Started {
        mut link,
        mut process,
        ..
    } = started;
    let outcome = match hear(&mut link, order, desk, model, &mut until).await {
        Ok(table) => Ok(table),
        Err(Ending::Known(end)) => Err(end),
        Err(Ending::Link(error)) => Err(of_link(link::how(error, &mut *process).await)),
    };
    end(link, &mut *process, outcome.is_ok()).await;
    outcome
}

/// What ends a worker's turn while it is waited for. What is being written meanwhile is written to its end, so that nothing comes to
/// the disk after the turn.
struct Until {
    wanted: watch::Receiver<()>,
    at: Instant,
    longest: Duration,
}

impl Until {
    fn new(wanted: watch::Receiver<()>, longest: Duration) -> Self {
        let at = Instant::now() + longest;
        Self { wanted, at, longest }
    }

    /// What `work` gives, unless the turn ends before.
    async fn or<T>(&mut self, work: impl Future<Output = T>) -> Result<T, End> {
        tokio::select! {
            done = work => Ok(done),
            _ = self.wanted.changed() => Err(End::Interrupted),
            () = tokio::time::sleep_until(self.at) => Err(End::Died(format!("took more than {} s", self.longest.as_secs()))),
        }
    }
}

/// Why a worker's words ended before its table.
enum Ending {
    Known(End),
    /// How its process ended may tell more.
    Link(LinkError),
}

impl From<LinkError> for Ending {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<End> for Ending {
    fn from(end: End) -> Self {
        Self::Known(end)
    }
}

impl From<ReceiveError> for Ending {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Link(error) => error.into(),
            ReceiveError::Disk(error) => Self::Known(End::Later(error.to_string())),
        }
    }
}

fn of_link(error: LinkError) -> End {
    match error {
        LinkError::Refused(words) => End::Refused(words),
        error => End::Died(error.to_string()),
    }
}

/// Hears what is measured and keeps it.
async fn hear(
    link: &mut Link,
    order: SensitivityOrder,
    desk: &Desk,
    model: &Model,
    until: &mut Until,
) -> Result<Vec<u8>, Ending> {
    let mut told = 0;
    let mut wants_importance = order.importance.is_none();
    let send = link.writer.send(ToWorker::Sensitivity(order));
    send.await.map_err(LinkError::from)?;
    loop {
        let next = until.or(tokio::time::timeout(SILENCE, link.next())).await?;
        match next.map_err(|_| LinkError::Slow(SILENCE))?? {
            FromWorker::Measuring { done, of } => {
                let part = TOLD_PARTS * u64::from(done) / u64::from(of.max(1));
                if part > told {
                    told = part;
                    tracing::info!(model = %model.name, done, of, "measuring in the background what types cost it");
                }
                desk.show(&model.path, SensitivityState::Measuring { done, of });
            }
            FromWorker::Group { name, damage } => {
                tracing::debug!(model = %model.name, group = %name, damage, "a group is measured");
                learn(desk, model, name, damage).await?;
            }
            FromWorker::Writing { bytes } if wants_importance => {
                wants_importance = false;
                let path = Store::importance(&desk.state_dir, &model.facts.digest);
                until.or(keep::receive(link, bytes, &path)).await??;
            }
            FromWorker::Writing { bytes } => {
                let table = keep::receive_into_memory(link, bytes, MAX_SENSITIVITY_BYTES);
                return Ok(until.or(table).await??);
            }
            FromWorker::Error(words) => return Err(LinkError::Refused(words).into()),
            other => return Err(LinkError::Unexpected(link::name(&other)).into()),
        }
    }
}

/// Keeps a group, so that it need not be measured again.
async fn learn(desk: &Desk, model: &Model, name: String, damage: f64) -> Result<(), Ending> {
    let record = desk.schedule().learned(name, damage, now());
    let Some(record) = record else { return Ok(()) };
    let (state_dir, digest) = (desk.state_dir.clone(), model.facts.digest);
    let write = tokio::task::spawn_blocking(move || keep::write(&state_dir, &digest, &record));
    match write.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Ending::Known(End::Later(error.to_string()))),
        Err(error) => Err(Ending::Known(End::Later(error.to_string()))),
    }
}

/// Keeps the table that a worker said, if it is one of this model.
async fn keep_table(desk: &Desk, model: &Model, file: Vec<u8>) -> End {
    let (state_dir, digest) = (desk.state_dir.clone(), model.facts.digest);
    let keep = tokio::task::spawn_blocking(move || {
        let table = read_sensitivity(&file).map_err(|error| End::Refused(error.to_string()))?;
        if table.model != digest {
            return Err(End::Refused("its worker measured another model".to_owned()));
        }
        keep::write_table(&state_dir, &digest, &write_sensitivity(&table))
            .map_err(|error| End::Later(error.to_string()))
    });
    match keep.await {
        Ok(Ok(())) => End::Done,
        Ok(Err(end)) => end,
        Err(error) => End::Later(error.to_string()),
    }
}

/// Ends the worker: at once when it is still at work.
async fn end(link: Link, process: &mut dyn WorkerProcess, done: bool) {
    if done {
        link::end(Some(link), process).await;
    } else {
        drop(link);
        link::end(None, process).await;
    }
}
