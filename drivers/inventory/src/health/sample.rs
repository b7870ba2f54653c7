//! Readings of one device, the newest of them kept.

use std::collections::VecDeque;
use std::time::SystemTime;

use mains_contract::{Bytes, Device, EccErrors, HealthState, Link};

/// Readings that are kept of a device: an hour at one every 10 s, some 60 KiB.
pub const SAMPLES: usize = 360;

/// What was measured of a device at one moment; absent what is not known.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When.
    pub at: SystemTime,
    /// Its state then.
    pub state: HealthState,
    /// Degrees Celsius.
    pub temperature_c: Option<f64>,
    /// Watts drawn.
    pub power_w: Option<f64>,
    /// Joules drawn since its driver was loaded.
    pub energy_j: Option<f64>,
    /// Share that was busy, 0 to 1.
    pub utilization: Option<f64>,
    /// Memory that was free.
    pub memory_free: Option<Bytes>,
    /// Whether anything held its clocks down.
    pub throttled: Option<bool>,
    /// Errors of its memory since its driver was loaded.
    pub ecc: Option<EccErrors>,
    /// Its PCI Express link.
    pub link: Option<Link>,
}

impl Sample {
    /// The readings of `device`.
    pub(super) fn of(device: &Device, state: HealthState, at: SystemTime) -> Self {
        Self {
            at,
            state,
            temperature_c: device.temperature_c,
            power_w: device.power_w,
            energy_j: device.energy_j,
            utilization: device.utilization,
            memory_free: device.memory.and_then(|memory| memory.free),
            throttled: device.throttle.as_ref().map(|reasons| !reasons.is_empty()),
            ecc: device.ecc,
            link: device.link,
        }
    }
}

/// The last [`SAMPLES`] readings.
#[derive(Debug, Clone, Default)]
pub(super) struct Ring(VecDeque<Sample>);

impl Ring {
    pub(super) fn push(&mut self, sample: Sample) {
        if self.0.len() >= SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    pub(super) fn last(&self, count: usize) -> Vec<Sample> {
        let skipped = self.0.len().saturating_sub(count);
        self.0.iter().skip(skipped).cloned().collect()
    }
}
