//! Who may take which bytes of which device. Pure; the one place where memory is promised.
//!
//! A probe says what is free, and every loaded worker's bytes are missing from that already. So the room of a device is
//! what was free, plus what loaded workers had reserved when it was probed, less all that is reserved now: a load
//! that is under way counts in full from its reservation on, and two of them never see the same bytes. A reservation ends when the
//! worker's end is proved, never when it is asked to end.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Instant;

use mains_contract::{Bytes, Device, Inventory, Memory};
use mains_planner::HOST_RESERVE;
use mains_types::Plan;

/// A reservation's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ReservationId(u64);

/// Bytes of one model on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held<'a> {
    pub(crate) model: &'a str,
    pub(crate) device: &'a str,
    pub(crate) bytes: Bytes,
}

/// All that one load is promised.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Promise {
    model: String,
    /// By device.
    bytes: BTreeMap<String, Bytes>,
    /// Whether its worker has allocated all of it.
    loaded: bool,
}

/// Bytes that are missing, by device; more than none on each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) missing: BTreeMap<String, Bytes>,
}

impl fmt::Display for Shortage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (device, missing)) in self.missing.iter().enumerate() {
            let between = if index == 0 { "" } else { ", " };
            write!(out, "{between}{missing} are missing on {device}")?;
        }
        Ok(())
    }
}

/// A model that may be unloaded to make room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) model: String,
    pub(crate) last_used: Instant,
}

/// The bytes that are promised.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    promises: BTreeMap<ReservationId, Promise>,
    /// By device: what was free at the last probe and what loaded workers held then.
    room: HashMap<String, Bytes>,
    next: u64,
}

impl Reservations {
    /// Takes note of a probe's answer that was just asked for. The room of a device whose numbers are old (`is_old`) stays as it
    /// was: what was loaded since they were read is not missing from them.
    pub(crate) fn probed(&mut self, inventory: &Inventory, is_old: impl Fn(&Device) -> bool) {
        let room = inventory.devices.iter().filter_map(|device| {
            let kept = self.room.get(&device.id).filter(|_| is_old(device)).copied();
            Some((device.id.clone(), kept.or_else(|| self.room_of(device))?))
        });
        self.room = room.collect();
    }

    fn room_of(&self, device: &Device) -> Option<Bytes> {
        let memory = device.memory?;
        let loaded = self.on(&device.id, |promise| promise.loaded);
        let room = (memory.free? + loaded).min(memory.total);
        Some(room.checked_sub(reserve(&memory)).unwrap_or(Bytes::ZERO))
    }

    /// Bytes on `device` of all promises that `are_meant`.
    fn on(&self, device: &str, are_meant: impl Fn(&Promise) -> bool) -> Bytes {
        let meant = self.promises.values().filter(|promise| are_meant(promise));
        meant
            .filter_map(|promise| promise.bytes.get(device))
            .copied()
            .sum()
    }

    /// What is left on `device`, or `None` when its memory is not known.
    pub(crate) fn left(&self, device: &str) -> Option<Bytes> {
        let room = *self.room.get(device)?;
        Some(room.checked_sub(self.on(device, |_| true)).unwrap_or(Bytes::ZERO))
    }

    /// `inventory` with the free memory that is left once `released` models have given theirs back.
    pub(crate) fn as_seen(&self, inventory: &Inventory, released: &[&str]) -> Inventory {
        let mut seen = inventory.clone();
        for device in &mut seen.devices {
            let given_back = self.on(&device.id, |promise| released.contains(&promise.model.as_str()));
            let left = self.left(&device.id);
            if let Some(memory) = &mut device.memory {
                // The planner leaves the host its reserve, which is not in the room.
                memory.free = left.map(|left| left + given_back + reserve(memory));
            }
        }
        seen
    }

    /// Promises the bytes of `plan`, those of all its devices or none. Whoever comes second for the last bytes gets the shortage.
    pub(crate) fn reserve(&mut self, plan: &Plan) -> Result<ReservationId, Shortage> {
        let bytes = plan.bytes_by_device();
        let missing = bytes.iter().filter_map(|(device, bytes)| {
            let missing = bytes.checked_sub(self.left(device)?)?;
            (missing > Bytes::ZERO).then(|| ((*device).to_owned(), missing))
        });
        let missing: BTreeMap<String, Bytes> = missing.collect();
        if !missing.is_empty() {
            return Err(Shortage { missing });
        }
        let bytes = bytes
            .into_iter()
            .map(|(device, bytes)| (device.to_owned(), bytes));
        let promise = Promise {
            model: plan.model.clone(),
            bytes: bytes.collect(),
            loaded: false,
        };
        let id = ReservationId(self.next);
        self.next += 1;
        self.promises.insert(id, promise);
        Ok(id)
    }

    /// The worker has allocated what was reserved: from the next probe on it is missing from what is free.
    pub(crate) fn loaded(&mut self, id: ReservationId) {
        if let Some(promise) = self.promises.get_mut(&id) {
            promise.loaded = true;
        }
    }

    /// The worker is about to end: a probe from now on may or may not see its bytes as free, so none are added to it.
    pub(crate) fn ending(&mut self, id: ReservationId) {
        if let Some(promise) = self.promises.get_mut(&id) {
            promise.loaded = false;
        }
    }

    /// The worker's end is proved.
    pub(crate) fn release(&mut self, id: ReservationId) {
        self.promises.remove(&id);
    }

    /// Everything that is promised.
    pub(crate) fn held(&self) -> impl Iterator<Item = Held<'_>> {
        self.promises.values().flat_map(|promise| {
            promise.bytes.iter().map(|(device, bytes)| Held {
                model: &promise.model,
                device,
                bytes: *bytes,
            })
        })
    }

    /// The models to unload for `shortage`: the least recently used first, and none when all together would not do.
    pub(crate) fn victims(&self, shortage: &Shortage, mut candidates: Vec<Candidate>) -> Option<Vec<String>> {
        candidates.sort_by_key(|candidate| candidate.last_used);
        let mut missing = shortage.missing.clone();
        let mut victims = Vec::new();
        for candidate in candidates {
            let mut helps = false;
            for (device, missing) in &mut missing {
                let freed = self.on(device, |promise| promise.model == candidate.model);
                helps |= *missing > Bytes::ZERO && freed > Bytes::ZERO;
                *missing = missing.checked_sub(freed).unwrap_or(Bytes::ZERO);
            }
            if helps {
                victims.push(candidate.model);
            }
        }
        let is_enough = missing.values().all(|missing| *missing == Bytes::ZERO);
        is_enough.then_some(victims)
    }
}

/// What the planner leaves to the host, and loads that are already planned must leave as well.
const fn reserve(memory: &Memory) -> Bytes {
    if memory.shared { HOST_RESERVE } else { Bytes::ZERO }
}

#[cfg(test)]
#[path = "reservations_tests.rs"]
mod tests;
