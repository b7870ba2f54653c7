//! What the service manager is told (`sd_notify(3)`). Without one, nothing happens.

use std::time::Duration;

/// Tells `state`; a failure is logged, since there is nothing else to do about it.
fn notify(state: &[(&str, &str)]) {
    if let Err(error) = systemd::daemon::notify(state.iter()) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Ready, after a start or a reload.
pub(crate) fn ready(status: &str) {
    notify(&[("READY", "1"), ("STATUS", status)]);
}

/// A reload begins. The time is what `Type=notify-reload` matches the end by.
pub(crate) fn reloading() {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(Duration::from);
    let micros = now.unwrap_or_default().as_micros().to_string();
    notify(&[("RELOADING", "1"), ("MONOTONIC_USEC", &micros)]);
}

/// The daemon ends.
pub(crate) fn stopping() {
    notify(&[("STOPPING", "1"), ("STATUS", "waiting for running requests")]);
}

/// One line for `systemctl status`.
pub(crate) fn status(status: &str) {
    notify(&[("STATUS", status)]);
}

/// The daemon makes progress.
pub(crate) fn alive() {
    notify(&[("WATCHDOG", "1")]);
}

/// How often the service manager wants to hear that the daemon lives; absent when it does not.
pub(crate) fn watchdog() -> Option<Duration> {
    match systemd::daemon::watchdog_enabled() {
        Ok(micros) if micros > 0 => Some(Duration::from_micros(micros)),
        _ => None,
    }
}
