//! One life of a worker: from its plan to the proof of its end.

use std::sync::Arc;

use mains_types::Plan;
use mains_wire::frames::{FromWorker, ToWorker};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::link::{self, Link, LinkError, Started, name};
use crate::place::{Refusal, Room};
use crate::ready::{Ready, look_after, ready};
use crate::settings::Settings;
use crate::worker::{Loss, Worker, pair, serve};
use crate::{Limits, Role, WorkerProcess};

/// What a life tells the task of its model.
pub(crate) enum Report {
    /// The worker is up and was told to load.
    Spawned {
        pid: Option<u32>,
        walls_missing: Vec<String>,
    },
    /// Requests may come.
    Loaded { worker: Worker, plan: Arc<Plan> },
    /// It takes no more requests, and those that it had are about to end.
    Lost,
    /// It can not be loaded. Its end follows.
    Refused(Refusal),
    /// The end is proved and its memory free; with the reason when nobody asked for it. The last word of every life.
    Gone(Option<String>),
}

/// Lives until `stop` or an end of its own, and says so to `report`.
pub(crate) async fn live(
    context: Arc<Context>,
    settings: Settings,
    stop: CancellationToken,
    report: impl Fn(Report),
) {
    let prepare = async {
        let ready = ready(&context, &settings).await?;
        let limits = Limits {
            readable: ready.files.readable(),
            memory: Some(ready.plan.bytes.total()),
        };
        let started = link::start(&*context.spawn, Role::Run, limits).await;
        let started = started.map_err(|error| Refusal::for_now(error.of(Role::Run).to_string()))?;
        Ok::<_, Refusal>((ready, started))
    };
    // Stopped here, a worker that comes up was not told to load yet: it holds none of what is reserved.
    let prepared = tokio::select! {
        prepared = prepare => prepared,
        () = stop.cancelled() => return report(Report::Gone(None)),
    };
    let (ready, mut started) = match prepared {
        Ok(prepared) => prepared,
        Err(refusal) => {
            report(Report::Refused(refusal));
            return report(Report::Gone(None));
        }
    };
    report(Report::Spawned {
        pid: started.process.pid(),
        walls_missing: link::missing(&started.hello.walls),
    });
    let loading = tokio::time::timeout(settings.load_timeout, load(&mut started.link, &ready));
    let loaded = tokio::select! {
        loaded = loading => loaded.unwrap_or(Err(LinkError::Slow(settings.load_timeout))),
        () = stop.cancelled() => return bury(Some(started.link), started.process, ready.room, None, report).await,
    };
    match loaded {
        Ok(()) => {
            ready.room.loaded();
            look_after(&context, &settings, &ready);
            let connection = (started.link, started.process);
            serve_until(&settings, &stop, ready, connection, report).await;
        }
        Err(error) => not_loaded(&context, ready, started, error, report).await,
    }
}

/// Ends a worker that did not load, and says why.
async fn not_loaded(
    context: &Context,
    ready: Ready,
    mut started: Started,
    error: LinkError,
    report: impl Fn(Report),
) {
    if let LinkError::Refused(reason) = error {
        // Packed weights have digests of their own: they may be what is damaged, and are quickly made again.
        let refusal = match &ready.files.packed {
            Some(path) => {
                context.shelf.remove(path.clone()).await;
                Refusal::for_now(format!(
                    "{reason}; its packed weights were removed, load it again"
                ))
            }
            None => Refusal {
                reason,
                for_good: true,
            },
        };
        report(Report::Refused(refusal));
        return bury(Some(started.link), started.process, ready.room, None, report).await;
    }
    let why = link::how(error, &mut *started.process).await;
    let why = Some(format!("its worker {why} while it loaded"));
    bury(None, started.process, ready.room, why, report).await;
}

async fn load(link: &mut Link, ready: &Ready) -> Result<(), LinkError> {
    let order = ToWorker::Load {
        path: ready.files.path.clone(),
        plan: (*ready.plan).clone(),
        packed: ready.files.packed.clone(),
    };
    link.writer.send(order).await?;
    match link.next().await? {
        FromWorker::Loaded { .. } => Ok(()),
        FromWorker::Error(words) => Err(LinkError::Refused(words)),
        other => Err(LinkError::Unexpected(name(&other))),
    }
}

/// Serves requests until the worker fails or is to stop.
async fn serve_until(
    settings: &Settings,
    stop: &CancellationToken,
    ready: Ready,
    (mut link, mut process): (Link, Box<dyn WorkerProcess>),
    report: impl Fn(Report),
) {
    // Its files stay on disk for as long as it maps them.
    let Ready {
        plan,
        room,
        files: _files,
        ..
    } = ready;
    let (worker, mut outgoing) = pair();
    report(Report::Loaded {
        worker: worker.clone(),
        plan,
    });
    let failed = tokio::select! {
        error = serve(&worker, &mut outgoing, &mut link, settings.patience) => Some(error),
        () = stop.cancelled() => None,
    };
    room.ending();
    // Before its requests hear of it: whoever asks again must find no trace of this worker.
    report(Report::Lost);
    let Some(error) = failed else {
        worker.lose(Loss::ShuttingDown);
        return bury(Some(link), process, room, None, report).await;
    };
    drop(link);
    if !matches!(error, LinkError::Closed) {
        process.kill();
    }
    let why = link::how(error, &mut *process).await.to_string();
    worker.lose(Loss::Died(why.clone()));
    bury(None, process, room, Some(format!("its worker {why}")), report).await;
}

/// Ends the worker, waits for the proof, and only then gives its memory back.
async fn bury(
    link: Option<Link>,
    mut process: Box<dyn WorkerProcess>,
    room: Room,
    why: Option<String>,
    report: impl Fn(Report),
) {
    room.ending();
    link::end(link, &mut *process).await;
    drop(room);
    report(Report::Gone(why));
}
