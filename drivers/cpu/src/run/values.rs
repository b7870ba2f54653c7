//! The values between operations, in the slots that the plan gave them.

use mains_contract::{Bytes, DriverError, Graph, StepLimits, ValueId};

use crate::arena::{Arena, padded};
use crate::plan::{Place, Plan};

/// All slots of a model.
pub(super) struct Values {
    slots: Vec<Arena>,
    /// By value: its place and its width.
    places: Vec<(Place, usize)>,
}

/// Where a node writes: rows of its width at a stride.
pub(super) struct Out<'a> {
    pub(super) numbers: &'a mut [f32],
    pub(super) stride: usize,
    pub(super) width: usize,
}

/// What a node reads.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) numbers: &'a [f32],
    pub(super) stride: usize,
    pub(super) width: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn row(&self, row: usize) -> &'a [f32] {
        &self.numbers[row * self.stride..][..self.width]
    }
}

impl Values {
    /// Memory for all slots of `plan`.
    ///
    /// # Errors
    /// [`DriverError::OutOfMemory`].
    pub(super) fn new(graph: &Graph, plan: &Plan, limits: &StepLimits) -> Result<Self, DriverError> {
        let slots = plan.slots.iter().map(|slot| {
            let rows = if slot.selected {
                limits.output_rows
            } else {
                limits.rows
            };
            let row_bytes = padded(slot.width) * size_of::<f32>();
            Arena::new(rows.saturating_mul(row_bytes), "values between operations")
        });
        let places = plan.places.iter().zip(graph.nodes());
        Ok(Self {
            slots: slots.collect::<Result<_, _>>()?,
            places: places.map(|(place, node)| (*place, node.width)).collect(),
        })
    }

    /// Bytes that were allocated.
    pub(super) fn size(&self) -> Bytes {
        self.slots.iter().map(Arena::size).sum()
    }

    /// Takes the slot of the value at `index` out, so that it can be written while others are read; else tells which
    /// output of the caller's it goes to.
    pub(super) fn take(&mut self, index: usize) -> Result<Arena, usize> {
        match self.places[index].0 {
            Place::Slot(slot) => Ok(std::mem::take(&mut self.slots[slot])),
            Place::Output(output) => Err(output),
        }
    }

    /// Puts the slot of the value at `index` back.
    pub(super) fn put_back(&mut self, index: usize, arena: Arena) {
        if let Place::Slot(slot) = self.places[index].0 {
            self.slots[slot] = arena;
        }
    }

    /// The rows of `value`; none when it went to the caller.
    pub(super) fn stored(&self, value: ValueId) -> Option<Rows<'_>> {
        let (place, width) = self.places[value.0 as usize];
        match place {
            Place::Slot(slot) => Some(Rows {
                numbers: self.slots[slot].numbers(),
                stride: padded(width),
                width,
            }),
            Place::Output(_) => None,
        }
    }

    /// The rows of a value that a later node reads.
    pub(super) fn rows(&self, value: ValueId) -> Rows<'_> {
        self.stored(value)
            .expect("the plan keeps every value that a node reads in a slot")
    }
}
