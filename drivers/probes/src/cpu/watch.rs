//! What only a span of time tells of the processors: how busy they are, and what they draw.

use std::path::PathBuf;
use std::time::Instant;

use mains_contract::{Probe, ProbeError, ProbeReport, Watch};

use super::CpuProbe;
use super::load::Files;
use super::sys::{self, Counter, Times};

/// Reads the kernel's counters again and again.
pub(super) struct CpuWatch {
    probe: CpuProbe,
    root: PathBuf,
    last: Option<Reading>,
    /// Joules drawn since the first reading.
    energy_j: f64,
}

struct Reading {
    at: Instant,
    times: Option<Times>,
    counters: Vec<(PathBuf, Counter)>,
}

impl CpuWatch {
    pub(super) const fn new(probe: CpuProbe, root: PathBuf) -> Self {
        Self {
            probe,
            root,
            last: None,
            energy_j: 0.0,
        }
    }
}

impl Watch for CpuWatch {
    fn read(&mut self, now: Instant) -> Result<ProbeReport, ProbeError> {
        let mut report = self.probe.probe()?;
        let files = Files::new(&self.root);
        let reading = Reading {
            at: now,
            times: files.text("/proc/stat").ok().as_deref().and_then(sys::times),
            counters: files.energy(),
        };
        if let (Some(last), Some(device)) = (&self.last, report.devices.first_mut()) {
            let times = last.times.zip(reading.times);
            device.utilization = times.and_then(|(before, now)| sys::busy(before, now));
            if let Some(joules) = drawn(&last.counters, &reading.counters) {
                self.energy_j += joules;
                device.energy_j = Some(self.energy_j);
                let seconds = now.saturating_duration_since(last.at).as_secs_f64();
                device.power_w = Some(joules / seconds).filter(|watts| watts.is_finite());
            }
        }
        self.last = Some(reading);
        Ok(report)
    }

    fn reopen(&mut self) {}
}

/// Joules between two readings of the same packages; `None` when there is none, or packages came or went.
fn drawn(before: &[(PathBuf, Counter)], now: &[(PathBuf, Counter)]) -> Option<f64> {
    let same = before.len() == now.len() && !now.is_empty();
    let pairs = before.iter().zip(now);
    let joules: Option<Vec<f64>> = pairs
        .map(|((folder, before), (same, now))| (folder == same).then(|| sys::joules(*before, *now)))
        .collect();
    joules.filter(|_| same).map(|joules| joules.iter().sum())
}
