//! What the sources said last, kept while some of them fail. Pure.
//!
//! A source that fails keeps its last good answer, marked with its age. A device that every source which saw it has ceased to
//! see is lost, which is told for a while.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use mains_contract::{Device, DeviceKind, Health, HealthState, Inventory, ProbeError, ProbeReport};

use crate::join::{self, Answer};
use crate::{SOURCES, Source, inventory};

/// From this age on a failing source's values of the moment (temperature, power, load) are left out: they would mislead.
const MOMENT: Duration = Duration::from_mins(1);

/// How long a device that is gone is told of: over a weekend.
const TOLD: Duration = Duration::from_hours(72);

/// Gone devices that are told of: as many as a box has at the most.
const MAX_LOST: usize = 64;

/// The sources' last words.
#[derive(Debug, Clone, Default)]
pub struct Board {
    entries: BTreeMap<&'static str, Entry>,
    /// Whole devices by id, with when they were last there.
    known: BTreeMap<String, (Device, SystemTime)>,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    good: Option<(ProbeReport, SystemTime)>,
    trouble: Option<String>,
}

impl Board {
    /// Takes note of a source's good answer ([`crate::accept`] bounds it first).
    pub fn answered(&mut self, source: &Source, report: ProbeReport, at: SystemTime) {
        let entry = self.entries.entry(source.name).or_default();
        entry.good = Some((report, at));
        entry.trouble = None;
    }

    /// Takes note that a source did not answer, and why.
    pub fn failed(&mut self, source: &Source, trouble: String) {
        self.entries.entry(source.name).or_default().trouble = Some(trouble);
    }

    /// Whether the source has told of a device.
    #[must_use]
    pub fn has_devices(&self, source: &Source) -> bool {
        let good = self
            .entries
            .get(source.name)
            .and_then(|entry| entry.good.as_ref());
        good.is_some_and(|(report, _)| !report.devices.is_empty())
    }

    /// Why the source did not answer when it was last asked.
    #[must_use]
    pub fn trouble(&self, source: &Source) -> Option<&str> {
        self.entries.get(source.name)?.trouble.as_deref()
    }

    /// Everything that is known at `now`. Devices that were in an earlier inventory and are gone are in it as lost.
    pub fn inventory(&mut self, now: SystemTime) -> Inventory {
        let answers: Vec<Answer> = SOURCES
            .iter()
            .filter_map(|source| Some(self.entries.get(source.name)?.answer(source, now)))
            .flatten()
            .collect();
        let answered = self
            .entries
            .values()
            .filter_map(|entry| Some(entry.good.as_ref()?.1));
        let probed_at = answered.max().unwrap_or(now);
        let mut found = inventory(answers, probed_at);
        self.tell_lost(&mut found.devices, now);
        found
    }

    fn tell_lost(&mut self, devices: &mut Vec<Device>, now: SystemTime) {
        self.known.retain(|_, (known, seen)| {
            let told_enough = age(now, *seen) > TOLD;
            !told_enough && !devices.iter().any(|device| join::is_same(known, device))
        });
        let lost = self.known.values().map(|(device, _)| lost(device));
        let lost: Vec<Device> = lost.take(MAX_LOST).collect();
        for device in devices.iter().filter(|device| can_be_lost(device)) {
            self.known.insert(device.id.clone(), (device.clone(), now));
        }
        devices.extend(lost);
    }
}

impl Entry {
    /// What counts of the source now: its last good answer, and what is wrong with it since.
    fn answer(&self, source: &Source, now: SystemTime) -> Vec<Answer> {
        let trouble = self.trouble.as_ref().map(|trouble| {
            let kept = self
                .good
                .as_ref()
                .filter(|(report, _)| !report.devices.is_empty());
            kept.map_or_else(
                || trouble.clone(),
                |(_, at)| {
                    format!(
                        "{trouble}; what it said {} ago stays in use",
                        words(age(now, *at))
                    )
                },
            )
        });
        let good = self.good.clone().map(|(mut report, at)| {
            if trouble.is_some() && age(now, at) >= MOMENT {
                report.devices.iter_mut().for_each(forget_the_moment);
            }
            Answer {
                source: source.name,
                report: Ok(report),
            }
        });
        let trouble = trouble.map(|trouble| Answer {
            source: source.name,
            report: Err(ProbeError(trouble)),
        });
        good.into_iter().chain(trouble).collect()
    }
}

/// Partitions are made and unmade by administrators, and what a program imitates comes and goes with its package.
fn can_be_lost(device: &Device) -> bool {
    device.parent.is_none() && !matches!(device.kind, DeviceKind::Software | DeviceKind::Cpu)
}

fn lost(device: &Device) -> Device {
    let mut lost = device.clone();
    forget_the_moment(&mut lost);
    let saw = std::mem::take(&mut lost.sources);
    let what_to_do = "check its power and its seat, then restart the machine";
    let reason = format!("it is gone: {} saw it before; {what_to_do}", saw.join(", "));
    lost.usable_by.clear();
    lost.unusable_because = Some(reason.clone());
    lost.health = Health {
        state: HealthState::Lost,
        reasons: vec![reason],
    };
    if let Some(memory) = &mut lost.memory {
        memory.free = None;
    }
    lost.sources = saw;
    lost
}

fn forget_the_moment(device: &mut Device) {
    device.temperature_c = None;
    device.power_w = None;
    device.utilization = None;
    device.throttle = None;
}

/// A clock that was set back makes nothing young.
fn age(now: SystemTime, then: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}

fn words(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
