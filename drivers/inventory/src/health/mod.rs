//! Devices over time: what was measured of each, and its state. Pure.
//!
//! - [`Sample`] is one reading of one device, kept in a ring
//! - [`judge`] makes a state of what sources say now, what they said a moment ago and what changed between two readings
//!
//! Each device's state goes `ok` -> `degraded` -> `failed` as reasons come, and back as they cease to hold for a while; `lost`
//! is a device that every source has ceased to see, until one sees it again.

mod judge;
mod sample;

use std::collections::BTreeMap;
use std::time::SystemTime;

use mains_contract::{Device, Inventory};

use judge::Judge;
use sample::Ring;
pub use sample::{SAMPLES, Sample};

/// Devices that are watched: an inventory has no more.
const MAX_DEVICES: usize = 256;

/// Every device's readings and state, by id.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    devices: BTreeMap<String, Watched>,
}

#[derive(Debug, Clone, Default)]
struct Watched {
    judge: Judge,
    ring: Ring,
}

impl Watch {
    /// Takes note of a reading at `now`. `silent` says of a device that none of its sources answered.
    pub fn note(&mut self, inventory: &Inventory, silent: impl Fn(&Device) -> bool, now: SystemTime) {
        let there = |id: &String| inventory.devices.iter().any(|device| device.id == *id);
        self.devices.retain(|id, _| there(id));
        for device in inventory.devices.iter().take(MAX_DEVICES) {
            let watched = self.devices.entry(device.id.clone()).or_default();
            let silent = silent(device);
            watched.judge.note(device, silent, now);
            // What a silent source said before is no reading.
            if !silent {
                let health = watched.judge.health(device, now);
                watched.ring.push(Sample::of(device, health.state, now));
            }
        }
    }

    /// Gives each device the state that it has at `now`.
    pub fn apply(&self, inventory: &mut Inventory, now: SystemTime) {
        for device in &mut inventory.devices {
            if let Some(watched) = self.devices.get(&device.id) {
                device.health = watched.judge.health(device, now);
            }
        }
    }

    /// The last `count` readings of a device, the oldest first.
    #[must_use]
    pub fn history(&self, id: &str, count: usize) -> Vec<Sample> {
        let watched = self.devices.get(id);
        watched.map_or_else(Vec::new, |watched| watched.ring.last(count))
    }
}
