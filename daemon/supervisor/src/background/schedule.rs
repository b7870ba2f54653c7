//! Which model is measured next, and what becomes of what was found. Pure: time and outcomes in, a decision out.
//!
//! ```text
//!                +-- interrupted, with what is known kept --+
//!                v                                          |
//! found ----> waiting -- nothing else runs, its turn --> measuring ---- done
//!                ^                                       |      |
//!                +-- died; not now (memory, disk) -------+      +-- refused, died too often, took too long: failed
//! ```
//!
//! A failed one is not found again before its files or the build change, because the record of it says so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mains_types::Digest;
use mains_wire::files::Measuring;

use super::BackgroundConfig;

/// Deaths in a row before a group was measured from which on a model is given up: the first may be the box's fault.
pub(crate) const MOST_DEATHS: u32 = 3;

/// The rest after a death, and after what could not be done now: long enough that a cause may be gone.
pub(crate) const REST: Duration = Duration::from_mins(10);

/// The least time that groups get however much was spent: then only what is known is put into a table.
pub(crate) const LEAST_TIME: Duration = Duration::from_secs(1);

/// How often the time that a measurement may take may be spent, interruptions included, before it is given up.
pub(crate) const MOST_SPENT: u32 = 4;

/// From one look at the models to the next.
pub(crate) const LOOK_EVERY: Duration = Duration::from_mins(1);

/// How a worker's turn with a model ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The table is kept.
    Done,
    /// Something else wants the devices.
    Interrupted,
    /// The worker is lost, in words that follow "its worker".
    Died(String),
    /// It can not be measured.
    Refused(String),
    /// Not now.
    Later(String),
}

/// A model that is to be measured.
#[derive(Debug, Clone, PartialEq)]
struct Job {
    /// The oldest goes first.
    created: u64,
    record: Measuring,
    not_before: Option<Instant>,
    /// What it waits for beside idle time.
    waits_for: Option<String>,
}

/// Models that are to be measured, by the digest of their files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schedule {
    jobs: BTreeMap<Digest, Job>,
    /// Which one is measured, and since when.
    running: Option<(Digest, Instant)>,
}

/// Whether nothing else has run for long enough; else when to look again. `quiet_since` is absent while something runs.
pub(crate) fn due(
    config: &BackgroundConfig,
    quiet_since: Option<Instant>,
    now: Instant,
) -> Result<(), Instant> {
    let from = quiet_since.unwrap_or(now) + config.after;
    if quiet_since.is_some() && from <= now {
        return Ok(());
    }
    // Idle time may be asked to be none.
    Err(from.max(now + Duration::from_millis(10)))
}

impl Schedule {
    /// There is a model that has no table. What is known of it already stays.
    pub(crate) fn found(&mut self, model: Digest, created: u64, record: Measuring) {
        self.jobs.entry(model).or_insert(Job {
            created,
            record,
            not_before: None,
            waits_for: None,
        });
    }

    /// Only these models are there now.
    pub(crate) fn keep(&mut self, models: &[Digest]) {
        self.jobs.retain(|model, _| models.contains(model));
    }

    /// The model to measure now, or when to look again.
    pub(crate) fn next(&self, now: Instant) -> Result<Digest, Instant> {
        let open = self.jobs.iter().filter(|(_, job)| job.record.failed.is_none());
        let ready = open
            .clone()
            .filter(|(_, job)| job.not_before.is_none_or(|at| at <= now));
        if let Some((model, _)) = ready.min_by_key(|(model, job)| (job.created, **model)) {
            return Ok(*model);
        }
        let rests = open.filter_map(|(_, job)| job.not_before).min();
        Err(rests.unwrap_or(now + LOOK_EVERY).min(now + LOOK_EVERY))
    }

    /// A worker begins with `model`: the time that groups may take, and what is known.
    pub(crate) fn begin(
        &mut self,
        config: &BackgroundConfig,
        model: Digest,
        now: Instant,
    ) -> (Duration, Measuring) {
        self.running = Some((model, now));
        let job = self.jobs.get_mut(&model);
        let record = job.map(|job| {
            job.waits_for = None;
            job.record.clone()
        });
        let record = record.unwrap_or_default();
        (config.most.saturating_sub(record.spent).max(LEAST_TIME), record)
    }

    /// A group of the running model was measured. What is to be kept on disk.
    pub(crate) fn learned(&mut self, name: String, damage: f64, now: Instant) -> Option<Measuring> {
        let (model, since) = self.running?;
        let job = self.jobs.get_mut(&model)?;
        let known = &mut job.record.groups;
        match known.iter_mut().find(|(known, _)| *known == name) {
            Some(group) => group.1 = damage,
            None => known.push((name, damage)),
        }
        job.record.deaths = 0;
        let spent = job.record.spent + now.saturating_duration_since(since);
        Some(Measuring {
            spent,
            ..job.record.clone()
        })
    }

    /// The turn of `model` is over, whether or not a worker began. What is to be kept on disk; nothing when the table is there.
    pub(crate) fn ended(
        &mut self,
        config: &BackgroundConfig,
        model: Digest,
        end: End,
        now: Instant,
    ) -> Option<Measuring> {
        let since = self.running.take().map_or(now, |(_, since)| since);
        if end == End::Done {
            self.jobs.remove(&model);
            return None;
        }
        let job = self.jobs.get_mut(&model)?;
        let record = &mut job.record;
        record.spent += now.saturating_duration_since(since);
        match end {
            End::Done | End::Interrupted => {}
            End::Died(why) => {
                record.deaths += 1;
                job.not_before = Some(now + REST);
                job.waits_for = Some(format!("its worker {why}"));
                if record.deaths >= MOST_DEATHS {
                    let times = record.deaths;
                    record.failed = Some(format!("its worker {why}, {times} times in a row"));
                }
            }
            End::Refused(why) => record.failed = Some(why),
            End::Later(why) => {
                job.waits_for = Some(why);
                job.not_before = Some(now + REST);
            }
        }
        if record.spent > config.most * MOST_SPENT && record.failed.is_none() {
            let hours = record.spent.as_secs_f64() / 3600.0;
            record.failed = Some(format!(
                "{hours:.1} h were spent on it and always interrupted; allow it more time by measure.most"
            ));
        }
        Some(record.clone())
    }

    /// What is known of `model`, and what it waits for.
    pub(crate) fn record(&self, model: &Digest) -> Option<(&Measuring, Option<&str>)> {
        let job = self.jobs.get(model)?;
        Some((&job.record, job.waits_for.as_deref()))
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
