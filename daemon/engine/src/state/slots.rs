//! Slots of per-sequence state: one a running sequence, the others for checkpoints of the prefix cache.

use mains_contract::SlotId;

/// Hands out slots. Free slots go last in, first out, like blocks.
#[derive(Debug, Clone)]
pub struct SlotPool {
    free: Vec<SlotId>,
    needed: bool,
}

impl SlotPool {
    /// A pool of `slots` free slots. Of none when the model has no per-sequence state: every sequence then takes slot 0,
    /// which holds nothing.
    #[must_use]
    pub fn new(slots: u32) -> Self {
        Self {
            free: (0..slots).rev().map(SlotId).collect(),
            needed: slots > 0,
        }
    }

    /// Slots that nobody has.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Takes a slot that nobody has.
    pub fn take(&mut self) -> Option<SlotId> {
        if self.needed {
            self.free.pop()
        } else {
            Some(SlotId(0))
        }
    }

    /// Gives a slot back that was taken.
    pub fn release(&mut self, slot: SlotId) {
        if self.needed {
            debug_assert!(!self.free.contains(&slot), "slot {} is given back twice", slot.0);
            self.free.push(slot);
        }
    }
}
