//! Wires the daemon together, runs it until a signal and lets it end.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use mains_api::{AccessRules, App, Door, Operator};
use mains_ledger::{Ledger, LedgerConfig};
use mains_supervisor::{ForkSpawn, Role, Spawn, Supervisor, SystemdSpawn};
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};

use crate::config::{Settings, SpawnChoice};
use crate::control::Control;
use crate::loader::Loader;
use crate::logging::Log;
use crate::sockets::{Given, Listener};
use crate::{systemd_notify, tasks};

/// Threads that run tasks. They only pass bytes on: 64 streams take a part of one.
const RUNTIME_THREADS: usize = 2;

/// Threads for what reads the disk. Reports are rare, and each thread costs memory.
const BLOCKING_THREADS: usize = 8;

/// How long a connection may take to close once its request has ended.
const CLOSE_BOUND: Duration = Duration::from_secs(5);

/// Runs the daemon.
///
/// # Errors
/// What keeps it from starting, with what to do.
pub(crate) fn run(loader: Loader) -> anyhow::Result<()> {
    let settings = loader.load()?;
    let log = Log::start(settings.log_level).context("the log cannot be started")?;
    let given = Given::take()?;
    make_folder(&settings.supervisor.state_dir)?;
    make_folder(&settings.ledger_dir())?;
    let ledger = Ledger::open(&settings.ledger(), LedgerConfig::default())?;
    if ledger.recovered() > 0 {
        let rows = ledger.recovered();
        tracing::warn!(
            rows,
            "requests that a crash had left open were settled at their lease"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("mainsd")
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let ended = runtime.block_on(daemon(loader, settings, log, given, ledger));
    runtime.shutdown_timeout(CLOSE_BOUND);
    ended
}

async fn daemon(
    loader: Loader,
    settings: Settings,
    log: Log,
    mut given: Given,
    ledger: Ledger,
) -> anyhow::Result<()> {
    // Signals first: one that comes while models are read must not be lost.
    let mut signals = Signals::new()?;
    let request = given.request(&settings.socket)?;
    let admin = given.admin(&settings.admin_socket, settings.admin_gid)?;
    let supervisor = Supervisor::start(
        settings.supervisor.clone(),
        spawner(&settings, loader.serve()),
        Arc::new(ledger.clone()),
    )?;
    let rules = AccessRules::new(settings.access.clone());
    let control = Arc::new(Control::new(
        loader.clone(),
        settings.clone(),
        supervisor.clone(),
        rules.clone(),
        log.clone(),
    ));
    let app = Arc::new(App::new(
        Arc::new(supervisor.clone()),
        Arc::new(supervisor.clone()),
        Arc::new(ledger.clone()),
        Arc::clone(&control) as Arc<dyn Operator>,
        log.ring,
        rules,
        env!("CARGO_PKG_VERSION"),
    ));
    let files: Vec<_> = [&request, &admin]
        .into_iter()
        .filter_map(|socket| socket.bound.clone())
        .collect();
    let bound = settings.drain_timeout + CLOSE_BOUND;
    let doors = [
        serve(&app, request, Door::Requests, bound)?,
        serve(&app, admin, Door::Administration, bound)?,
    ];
    let mut chores = JoinSet::new();
    chores.spawn(tasks::watchdog(ledger.clone()));
    chores.spawn(tasks::tell_status(supervisor.clone()));
    chores.spawn(tasks::prune(ledger.clone(), Arc::clone(&control)));
    chores.spawn(tasks::watch_devices(supervisor.clone(), Arc::clone(&control)));
    announce(&settings, &supervisor, loader.serve());
    signals.until_stop(&control).await;
    stop(
        &app,
        &supervisor,
        doors,
        control.settings().drain_timeout,
        &mut signals,
    )
    .await;
    for file in files {
        if let Err(error) = std::fs::remove_file(&file) {
            tracing::warn!(%error, file = %file.display(), "the socket could not be removed");
        }
    }
    tracing::info!("the daemon ends");
    Ok(())
}

/// Running requests may end, for as long as the configuration says or until a second signal.
async fn stop(
    app: &App,
    supervisor: &Supervisor,
    doors: [JoinHandle<()>; 2],
    bound: Duration,
    signals: &mut Signals,
) {
    tracing::info!(
        bound_s = bound.as_secs(),
        "the daemon stops; running requests may end"
    );
    systemd_notify::stopping();
    app.stop();
    let drained = async {
        let cut = supervisor.drain(bound).await;
        if cut > 0 {
            tracing::warn!(requests = cut, "requests were cut off; each has its row");
        }
        for door in doors {
            if door.await.is_err() {
                tracing::error!("a socket's task panicked: a defect of mains");
            }
        }
    };
    tokio::select! {
        () = drained => {}
        () = signals.stop() => tracing::warn!("a second signal: the daemon ends at once"),
    }
}

fn serve(app: &Arc<App>, socket: Listener, door: Door, bound: Duration) -> anyhow::Result<JoinHandle<()>> {
    socket.listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(socket.listener)?;
    Ok(tokio::spawn(mains_api::serve(
        Arc::clone(app),
        listener,
        door,
        bound,
    )))
}

fn announce(settings: &Settings, supervisor: &Supervisor, serve: bool) {
    let socket = settings.socket.display();
    let models = supervisor.models().len();
    tracing::info!(%socket, models, "ready");
    if settings.access.teams == mains_api::TeamMap::default() {
        tracing::warn!(
            "no team is configured, so nobody gets an answer: write a [teams.NAME] section and reload"
        );
    }
    systemd_notify::ready(&tasks::status_line(&supervisor.status()));
    if serve {
        let mut out = std::io::stdout();
        let line = writeln!(out, "mains: ready on {socket} (stop with Ctrl-C)");
        if let Err(error) = line.and_then(|()| out.flush()) {
            tracing::warn!(%error, "standard output is closed");
        }
    }
}

fn spawner(settings: &Settings, serve: bool) -> Arc<dyn Spawn> {
    let folder = settings.socket.parent().unwrap_or(Path::new("/"));
    let systemd = SystemdSpawn::new(folder.to_owned());
    let by_systemd = match settings.workers {
        SpawnChoice::Systemd => true,
        SpawnChoice::Fork => false,
        SpawnChoice::Auto => !serve && systemd.socket(Role::Run).exists(),
    };
    if by_systemd {
        tracing::info!("workers are started by systemd");
        Arc::new(systemd)
    } else {
        tracing::info!(program = %settings.worker.display(), "workers are started by the daemon");
        Arc::new(ForkSpawn::new(settings.worker.clone()))
    }
}

/// A folder of the daemon's own. One that is there keeps its mode: packages choose it.
fn make_folder(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("{}: the folder cannot be made", folder.display()))
}

/// The signals that the daemon acts on.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Reloads at each hang-up until it is time to stop.
    async fn until_stop(&mut self, control: &Arc<Control>) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    let control = Arc::clone(control);
                    // What came of it is logged by the reload itself.
                    tokio::spawn(async move { drop(control.reload().await) });
                }
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
            }
        }
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
