//! One life of a worker: from its plan to the proof of its end.

use std::path::PathBuf;
use std::sync::Arc;

use mains_store::Store;
use mains_types::{Plan, model_files};
use mains_wire::frames::{FromWorker, ToWorker};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::link::{self, Link, LinkError, Started, name};
use crate::place::{Refusal, Room, place};
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
        let (plan, room) = place(&context, &settings).await?;
        let packed = packed(&settings, &plan).await;
        let limits = Limits {
            readable: model_files(&settings.source.path)
                .into_iter()
                .chain(packed.clone())
                .collect(),
            memory: Some(plan.bytes.total()),
        };
        let started = link::start(&*context.spawn, Role::Run, limits).await;
        let started = started.map_err(|error| Refusal::for_now(error.of(Role::Run).to_string()))?;
        Ok::<_, Refusal>((plan, packed, room, started))
    };
    // Stopped here, a worker that comes up was not told to load yet: it holds none of what is reserved.
    let prepared = tokio::select! {
        prepared = prepare => prepared,
        () = stop.cancelled() => return report(Report::Gone(None)),
    };
    let (
        plan,
        packed,
        room,
        Started {
            mut link,
            mut process,
            hello,
        },
    ) = match prepared {
        Ok(prepared) => prepared,
        Err(refusal) => {
            report(Report::Refused(refusal));
            return report(Report::Gone(None));
        }
    };
    report(Report::Spawned {
        pid: process.pid(),
        walls_missing: link::missing(&hello.walls),
    });
    let loading = tokio::time::timeout(settings.load_timeout, load(&mut link, &settings, &plan, packed));
    let loaded = tokio::select! {
        loaded = loading => loaded.unwrap_or(Err(LinkError::Slow(settings.load_timeout))),
        () = stop.cancelled() => return bury(Some(link), process, room, None, report).await,
    };
    match loaded {
        Ok(()) => {
            room.loaded();
            serve_until(&settings, &stop, (plan, room), (link, process), report).await;
        }
        Err(LinkError::Refused(reason)) => {
            report(Report::Refused(Refusal {
                reason,
                for_good: true,
            }));
            bury(Some(link), process, room, None, report).await;
        }
        Err(error) => {
            let why = link::how(error, &mut *process).await.to_string();
            bury(
                None,
                process,
                room,
                Some(format!("its worker {why} while it loaded")),
                report,
            )
            .await;
        }
    }
}

/// The file with the plan's weights packed for its first driver, if there is one.
async fn packed(settings: &Settings, plan: &Plan) -> Option<PathBuf> {
    let driver = &plan.segments.first()?.driver;
    let path = Store::packed(&settings.state_dir, &plan.variant, driver);
    // Whatever keeps it from being seen is no reason not to load: the worker packs the weights itself.
    tokio::fs::try_exists(&path)
        .await
        .unwrap_or(false)
        .then_some(path)
}

async fn load(
    link: &mut Link,
    settings: &Settings,
    plan: &Plan,
    packed: Option<PathBuf>,
) -> Result<(), LinkError> {
    let order = ToWorker::Load {
        path: settings.source.path.clone(),
        plan: plan.clone(),
        packed,
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
    (plan, room): (Arc<Plan>, Room),
    (mut link, mut process): (Link, Box<dyn WorkerProcess>),
    report: impl Fn(Report),
) {
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
