//! Which rows of activations a matrix is multiplied with, and where the products go.

use crate::disjoint::Disjoint;

/// One product of a row with a matrix.
#[derive(Clone, Copy)]
pub(crate) struct Item {
    /// Its activations: a part of a row, counted through all rows.
    pub(crate) x: usize,
    /// The number of the output where the products begin.
    pub(crate) out: usize,
}

/// The rows of one matrix.
#[derive(Clone, Copy)]
pub(crate) enum Items<'a> {
    /// One part of every row: `first`, and then `step` further each.
    Every { count: usize, first: Item, step: Item },
    /// Slots of a route, as `row * used + slot`.
    Slots {
        list: &'a [u32],
        used: usize,
        /// Whether each slot has activations of its own, or all of a row share them.
        per_slot: bool,
        /// Distances of the outputs.
        row_stride: usize,
        slot_stride: usize,
    },
}

impl Items<'_> {
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Every { count, .. } => *count,
            Self::Slots { list, .. } => list.len(),
        }
    }

    #[inline(always)]
    pub(crate) fn at(&self, index: usize) -> Item {
        match self {
            Self::Every { first, step, .. } => Item {
                x: first.x + index * step.x,
                out: first.out + index * step.out,
            },
            Self::Slots {
                list,
                used,
                per_slot,
                row_stride,
                slot_stride,
            } => {
                let slot = list[index] as usize;
                let (row, of_row) = (slot / used, slot % used);
                Item {
                    x: if *per_slot { slot } else { row },
                    out: row * row_stride + of_row * slot_stride,
                }
            }
        }
    }
}

/// Where products go, and what is added to them.
#[derive(Clone, Copy)]
pub(crate) struct Sink<'a> {
    pub(crate) out: &'a Disjoint<'a, f32>,
    /// Outputs of the matrix.
    pub(crate) outputs: usize,
    pub(crate) bias: Option<&'a [f32]>,
}

impl Sink<'_> {
    /// Writes the products of an item that begins at `start` with the outputs from `output` on.
    #[inline(always)]
    pub(crate) fn put(&self, start: usize, output: usize, products: &[f32]) {
        let start = start + output;
        // SAFETY: a thread has outputs of its own, so no other one has these columns, and the part is dropped before
        // this thread's next.
        let out = unsafe { self.out.part(start..start + products.len()) };
        match self.bias {
            Some(bias) => {
                for (at, (out, product)) in out.iter_mut().zip(products).enumerate() {
                    *out = product + bias[output + at];
                }
            }
            None => out.copy_from_slice(products),
        }
    }
}
