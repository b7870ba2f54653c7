//! What the daemon does beside answering: telling the service manager, pruning the ledger, watching devices.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mains_ledger::Ledger;
use mains_supervisor::{ModelState, Status, Supervisor};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::control::Control;
use crate::systemd_notify;

/// How often `systemctl status` is brought up to date.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// How often old rows are removed: whole days go, so more often would find nothing.
const PRUNE_EVERY: Duration = Duration::from_hours(6);

/// Tells the watchdog that this runtime runs tasks and that the ledger's thread lives. A slow disk is not a reason to be
/// killed: the thread says that it is in a commit.
pub(crate) async fn watchdog(ledger: Ledger) {
    let Some(limit) = systemd_notify::watchdog() else {
        return;
    };
    let mut ticks = interval(limit / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if ledger.health().live(limit) {
            systemd_notify::alive();
        } else {
            tracing::error!("the ledger's thread makes no progress: the watchdog will restart the daemon");
        }
    }
}

/// Keeps the line of `systemctl status`.
pub(crate) async fn tell_status(supervisor: Supervisor) {
    let mut ticks = interval(STATUS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        ticks.tick().await;
        let line = status_line(&supervisor.status());
        if line != told {
            systemd_notify::status(&line);
            told = line;
        }
    }
}

/// Such as `ready: 1 of 3 models loaded, 2 requests running, 0 waiting`.
pub(crate) fn status_line(status: &Status) -> String {
    let loaded = status
        .models
        .iter()
        .filter(|model| model.state == ModelState::Ready)
        .count();
    let running: usize = status.models.iter().map(|model| model.running).sum();
    let queued: usize = status.models.iter().map(|model| model.queued).sum();
    let all = status.models.len();
    format!("ready: {loaded} of {all} models loaded, {running} requests running, {queued} waiting")
}

/// Removes rows that are older than the configuration keeps.
pub(crate) async fn prune(ledger: Ledger, control: Arc<Control>) {
    let mut ticks = interval(PRUNE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(days) = control.settings().retention_days else {
            continue;
        };
        let kept = SignedDuration::from_hours(i64::from(days) * 24);
        let Ok(oldest) = Timestamp::now().checked_sub(kept) else {
            continue;
        };
        match ledger.prune(oldest).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, days, "old rows of the ledger were removed, their sums stay"),
            Err(error) => tracing::warn!(%error, "old rows of the ledger could not be removed"),
        }
    }
}

/// Looks for devices now and then, and takes a reading of them more often.
pub(crate) async fn watch_devices(supervisor: Supervisor, control: Arc<Control>) {
    let mut looked: Option<Instant> = None;
    loop {
        let every = control.settings().devices;
        if looked.is_none_or(|looked| looked.elapsed() >= every.probe_every) {
            looked = Some(Instant::now());
            if let Err(error) = supervisor.inventory(true).await {
                tracing::warn!(%error, "no device is known; models can not be planned");
            }
        }
        supervisor.read_devices().await;
        tokio::time::sleep(every.watch_every).await;
    }
}
