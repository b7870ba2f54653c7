//! One life of a worker: from its plan to the proof of its end.

use std::sync::Arc;

use mains_types::{ModelFacts, Plan};
use mains_wire::frames::{FromWorker, ToWorker};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::link::{self, Link, LinkError, Started, name};
use crate::place::{Refusal, Room, place};
use crate::settings::Settings;
use crate::variants::{self, Files, Wanted};
use crate::worker::{Loss, Worker, pair, serve};
use crate::{Limits, Role, SupervisorError, WorkerProcess};

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
    let (
        Ready {
            facts,
            plan,
            room,
            files,
        },
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
    let loading = tokio::time::timeout(settings.load_timeout, load(&mut link, &files, &plan));
    let loaded = tokio::select! {
        loaded = loading => loaded.unwrap_or(Err(LinkError::Slow(settings.load_timeout))),
        () = stop.cancelled() => return bury(Some(link), process, room, None, report).await,
    };
    match loaded {
        Ok(()) => {
            room.loaded();
            let files = Arc::new(files);
            if files.packed.is_none() {
                let (context, settings) = (Arc::clone(&context), settings.clone());
                tokio::spawn(pack(
                    context,
                    settings,
                    facts,
                    Arc::clone(&plan),
                    Arc::clone(&files),
                ));
            }
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

/// A plan with its room, and the files that it is loaded from.
struct Ready {
    facts: Arc<ModelFacts>,
    plan: Arc<Plan>,
    room: Room,
    files: Files,
}

/// Plans, reserves, and makes the plan's variant when it is not there: nothing of this model is served meanwhile. Where there
/// is no room on disk for it, the model is planned with the types that its files have.
async fn ready(context: &Arc<Context>, settings: &Settings) -> Result<Ready, Refusal> {
    let facts = context.facts(&settings.source.path).await;
    let facts = facts.map_err(|error| Refusal {
        reason: error.to_string(),
        for_good: !matches!(error, SupervisorError::Spawn(_)),
    })?;
    let full = match placed(context, settings, &facts).await {
        Ok(ready) => return Ok(ready),
        Err(NotPlaced::Refused(refusal)) => return Err(refusal),
        Err(NotPlaced::Full(full)) => full,
    };
    tracing::warn!(model = %settings.source.name, %full, "loaded in the types of its files");
    let stored = Arc::new(ModelFacts {
        sensitivity: None,
        ..(*facts).clone()
    });
    placed(context, settings, &stored)
        .await
        .map_err(|error| match error {
            NotPlaced::Full(error) => Refusal::for_now(error),
            NotPlaced::Refused(refusal) => Refusal {
                reason: format!("{full}; and in the types of its files {}", refusal.reason),
                ..refusal
            },
        })
}

enum NotPlaced {
    Refused(Refusal),
    /// There is no room on disk, in words.
    Full(String),
}

async fn placed(
    context: &Arc<Context>,
    settings: &Settings,
    facts: &Arc<ModelFacts>,
) -> Result<Ready, NotPlaced> {
    let (plan, room) = place(context, settings, facts)
        .await
        .map_err(NotPlaced::Refused)?;
    let wanted = Wanted {
        context,
        settings,
        facts,
        plan: &plan,
    };
    let files = wanted.files(&|_| ()).await.map_err(|error| {
        if variants::is_full(&error) {
            NotPlaced::Full(error.to_string())
        } else {
            NotPlaced::Refused(Refusal::for_now(error.to_string()))
        }
    })?;
    let facts = Arc::clone(facts);
    Ok(Ready {
        facts,
        plan,
        room,
        files,
    })
}

/// Packs the weights of a model that was loaded without, for the next time. Whatever keeps it from being done is no reason not to
/// serve.
async fn pack(
    context: Arc<Context>,
    settings: Settings,
    facts: Arc<ModelFacts>,
    plan: Arc<Plan>,
    files: Arc<Files>,
) {
    let wanted = Wanted {
        context: &context,
        settings: &settings,
        facts: &facts,
        plan: &plan,
    };
    if let Err(error) = wanted.pack(&files, &|_| ()).await {
        tracing::info!(model = %settings.source.name, %error, "its weights are not packed");
    }
}

async fn load(link: &mut Link, files: &Files, plan: &Plan) -> Result<(), LinkError> {
    let order = ToWorker::Load {
        path: files.path.clone(),
        plan: plan.clone(),
        packed: files.packed.clone(),
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
