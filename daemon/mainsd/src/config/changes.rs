//! What a reload changes, and what it cannot.

use std::collections::BTreeMap;

use mains_supervisor::ModelConfig;

use super::Settings;

/// What differs in `new`, in words.
///
/// # Errors
/// The keys that hold for as long as the daemon runs, when they differ.
pub(crate) fn changes(old: &Settings, new: &Settings) -> Result<Vec<String>, String> {
    let fixed: Vec<&str> = [
        ("daemon.socket", old.socket == new.socket),
        ("daemon.admin_socket", old.admin_socket == new.admin_socket),
        (
            "daemon.state_dir",
            old.supervisor.state_dir == new.supervisor.state_dir,
        ),
        ("daemon.worker", old.worker == new.worker),
        ("daemon.workers", old.workers == new.workers),
    ]
    .into_iter()
    .filter_map(|(key, same)| (!same).then_some(key))
    .collect();
    if !fixed.is_empty() {
        return Err(format!(
            "{} cannot change while the daemon runs; the old configuration stays, restart the daemon for the new one",
            fixed.join(", ")
        ));
    }
    let mut changes = models(old, new);
    let (before, after) = (&old.supervisor, &new.supervisor);
    for (what, same) in [
        ("teams or administrators", old.access == new.access),
        ("daemon.log_level", old.log_level == new.log_level),
        ("daemon.drain_timeout", old.drain_timeout == new.drain_timeout),
        ("daemon.queue_limit", before.queue_limit == after.queue_limit),
        (
            "daemon.queue_timeout",
            before.queue_timeout == after.queue_timeout,
        ),
        ("daemon.load_timeout", before.load_timeout == after.load_timeout),
        ("daemon.keep_alive", before.keep_alive == after.keep_alive),
        ("store.cache", before.cache == after.cache),
        ("daemon.threads", before.threads == after.threads),
        (
            "devices.watch_every",
            old.devices.watch_every == new.devices.watch_every,
        ),
        (
            "devices.probe_every",
            old.devices.probe_every == new.devices.probe_every,
        ),
        ("measure", before.background == after.background),
        ("ledger.retention_days", old.retention_days == new.retention_days),
    ] {
        if !same {
            changes.push(format!("{what} changed"));
        }
    }
    Ok(changes)
}

fn models(old: &Settings, new: &Settings) -> Vec<String> {
    let by_name = |settings: &Settings| -> BTreeMap<String, ModelConfig> {
        let models = settings.supervisor.models.iter();
        models.map(|model| (model.name.clone(), model.clone())).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let gone = old
        .keys()
        .filter(|name| !new.contains_key(*name))
        .map(|name| format!("model {name} removed"));
    let there = new.iter().filter_map(|(name, model)| match old.get(name) {
        None => Some(format!("model {name} added")),
        Some(before) if before != model => Some(format!("model {name} changed")),
        Some(_) => None,
    });
    gone.chain(there).collect()
}
