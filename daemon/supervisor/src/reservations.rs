//! Who may take which bytes of which device. Pure; the one place where memory is promised.
//!
//! A probe says what is free, and every loaded worker's bytes are missing from that already. So the room of a device is
//! what was free, plus what loaded workers had reserved when it was probed, less all that is reserved now: a load
//! that is under way counts in full from its reservation on, and two of them never see the same bytes. A reservation ends when the
//! worker's end is proved, never when it is asked to end.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use mains_contract::{Bytes, Device, Inventory, Memory};
use mains_planner::HOST_RESERVE;
use mains_types::Plan;

/// A reservation's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ReservationId(u64);

/// Bytes of one model on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) model: String,
    pub(crate) device: String,
    pub(crate) bytes: Bytes,
    /// Whether its worker has allocated all of it.
    loaded: bool,
}

/// Bytes that are missing on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) device: String,
    pub(crate) missing: Bytes,
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
    held: BTreeMap<ReservationId, Held>,
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
        let loaded = self
            .on(&device.id)
            .filter(|held| held.loaded)
            .map(|held| held.bytes);
        let room = (memory.free? + loaded.sum()).min(memory.total);
        Some(room.checked_sub(reserve(&memory)).unwrap_or(Bytes::ZERO))
    }

    fn on(&self, device: &str) -> impl Iterator<Item = &Held> {
        self.held.values().filter(move |held| held.device == device)
    }

    /// What is left on `device`, or `None` when its memory is not known.
    pub(crate) fn left(&self, device: &str) -> Option<Bytes> {
        let room = *self.room.get(device)?;
        let taken = self.on(device).map(|held| held.bytes).sum();
        Some(room.checked_sub(taken).unwrap_or(Bytes::ZERO))
    }

    /// `inventory` with the free memory that is left once `released` models have given theirs back.
    pub(crate) fn as_seen(&self, inventory: &Inventory, released: &[&str]) -> Inventory {
        let mut seen = inventory.clone();
        for device in &mut seen.devices {
            let given_back: Bytes = self
                .on(&device.id)
                .filter(|held| released.contains(&held.model.as_str()))
                .map(|held| held.bytes)
                .sum();
            let left = self.left(&device.id);
            if let Some(memory) = &mut device.memory {
                // The planner leaves the host its reserve, which is not in the room.
                memory.free = left.map(|left| left + given_back + reserve(memory));
            }
        }
        seen
    }

    /// Promises the bytes of `plan`. Whoever comes second for the last bytes gets the shortage.
    pub(crate) fn reserve(&mut self, plan: &Plan) -> Result<ReservationId, Shortage> {
        let device = plan
            .segments
            .first()
            .map_or_else(String::new, |segment| segment.device.clone());
        let bytes = plan.bytes.total();
        if let Some(left) = self.left(&device)
            && left < bytes
        {
            return Err(Shortage {
                device,
                missing: Bytes(bytes.0 - left.0),
            });
        }
        let id = ReservationId(self.next);
        self.next += 1;
        self.held.insert(
            id,
            Held {
                model: plan.model.clone(),
                device,
                bytes,
                loaded: false,
            },
        );
        Ok(id)
    }

    /// The worker has allocated what was reserved: from the next probe on it is missing from what is free.
    pub(crate) fn loaded(&mut self, id: ReservationId) {
        if let Some(held) = self.held.get_mut(&id) {
            held.loaded = true;
        }
    }

    /// The worker is about to end: a probe from now on may or may not see its bytes as free, so none are added to it.
    pub(crate) fn ending(&mut self, id: ReservationId) {
        if let Some(held) = self.held.get_mut(&id) {
            held.loaded = false;
        }
    }

    /// The worker's end is proved.
    pub(crate) fn release(&mut self, id: ReservationId) {
        self.held.remove(&id);
    }

    /// Everything that is promised.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    /// The models to unload for `shortage`: the least recently used first, and none when all together would not do.
    pub(crate) fn victims(&self, shortage: &Shortage, mut candidates: Vec<Candidate>) -> Option<Vec<String>> {
        candidates.sort_by_key(|candidate| candidate.last_used);
        let mut freed = Bytes::ZERO;
        let mut victims = Vec::new();
        for candidate in candidates {
            if freed >= shortage.missing {
                break;
            }
            let bytes: Bytes = self
                .on(&shortage.device)
                .filter(|held| held.model == candidate.model)
                .map(|held| held.bytes)
                .sum();
            if bytes > Bytes::ZERO {
                freed += bytes;
                victims.push(candidate.model);
            }
        }
        (freed >= shortage.missing).then_some(victims)
    }
}

/// What the planner leaves to the host, and loads that are already planned must leave as well.
const fn reserve(memory: &Memory) -> Bytes {
    if memory.shared { HOST_RESERVE } else { Bytes::ZERO }
}

#[cfg(test)]
#[path = "reservations_tests.rs"]
mod tests;
