//! Joins what the probes said into one list of devices. Pure.

use std::time::SystemTime;

use mains_contract::{Device, DeviceKind, HealthState, Inventory, ProbeError, ProbeReport, Problem};

/// One probe's name and what it said.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// [`mains_contract::Probe::source`].
    pub source: &'static str,
    /// What came of asking it.
    pub report: Result<ProbeReport, ProbeError>,
}

/// Joins answers: a device that several probes saw (the same PCI address, else the same id) is one entry whose facts
/// come from the first probe that knew them. The CPU comes first, then ids in order. A failed probe is a problem.
#[must_use]
pub fn inventory(answers: Vec<Answer>, probed_at: SystemTime) -> Inventory {
    let mut devices: Vec<Device> = Vec::new();
    let mut problems = Vec::new();
    for Answer { source, report } in answers {
        match report {
            Ok(report) => {
                problems.extend(report.problems);
                for device in report.devices {
                    match devices.iter_mut().find(|known| same(known, &device)) {
                        Some(known) => merge(known, device),
                        None => devices.push(device),
                    }
                }
            }
            Err(ProbeError(error)) => problems.push(Problem {
                source: source.to_owned(),
                error,
            }),
        }
    }
    devices.sort_by(|a, b| order(a).cmp(&order(b)));
    Inventory {
        devices,
        problems,
        probed_at,
    }
}

fn order(device: &Device) -> (bool, &str) {
    (device.kind != DeviceKind::Cpu, &device.id)
}

/// A partition shares its parent's PCI address, so that both must be whole devices.
fn same(a: &Device, b: &Device) -> bool {
    let whole = a.parent.is_none() && b.parent.is_none();
    a.id == b.id || (whole && a.pci.is_some() && a.pci == b.pci)
}

fn merge(known: &mut Device, other: Device) {
    known.vendor = known.vendor.take().or(other.vendor);
    known.pci = known.pci.take().or(other.pci);
    known.memory = match (known.memory, other.memory) {
        (Some(mut ours), Some(theirs)) => {
            ours.free = ours.free.or(theirs.free);
            Some(ours)
        }
        (ours, theirs) => ours.or(theirs),
    };
    known.runtime = known.runtime.take().or(other.runtime);
    known.temperature_c = known.temperature_c.or(other.temperature_c);
    known.power_w = known.power_w.or(other.power_w);
    known.utilization = known.utilization.or(other.utilization);
    union(&mut known.sources, other.sources);
    union(&mut known.usable_by, other.usable_by);
    union(&mut known.features, other.features);
    known.unusable_because = if known.usable_by.is_empty() {
        known.unusable_because.take().or(other.unusable_because)
    } else {
        None
    };
    if severity(other.health.state) > severity(known.health.state) {
        known.health.state = other.health.state;
    }
    union(&mut known.health.reasons, other.health.reasons);
}

fn union(known: &mut Vec<String>, others: Vec<String>) {
    for other in others {
        if !known.contains(&other) {
            known.push(other);
        }
    }
}

const fn severity(state: HealthState) -> u8 {
    match state {
        HealthState::Ok => 0,
        HealthState::Degraded => 1,
        HealthState::Failed => 2,
        HealthState::Lost => 3,
    }
}
