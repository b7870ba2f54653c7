//! One thread's groups of outputs for all rows of a product.

use std::marker::PhantomData;
use std::ops::Range;

use mains_contract::BlockFormat;

use super::formats::{Packed, Visit, visit};
use super::layout::{GROUP, Group, Layout, bytes_of_group};
use super::panel::{Panel, unpack};
use super::tile::tile;
use crate::isa::Kernel;
use crate::kernels::items::{Items, Sink};
use crate::kernels::quantize::{QuantizedRow, QuantizedRows};
use crate::simd::{LANES, Simd};

/// Rows from which unpacking once costs less than unpacking for each tile of rows, where registers are many.
const PANEL_ROWS: usize = 24;

/// Rows of a tile over a panel, where registers are many: 6 sums and 6 products beside 8 vectors of levels.
const PANEL_TILE: usize = 6;

/// Some groups of outputs of a packed matrix.
pub(crate) struct PackedProduct<'a> {
    pub(crate) format: BlockFormat,
    pub(crate) bytes: &'a [u8],
    pub(crate) cols: usize,
    pub(crate) x: &'a QuantizedRows,
    pub(crate) items: Items<'a>,
    pub(crate) groups: Range<usize>,
    pub(crate) sink: Sink<'a>,
    /// Room for some panels.
    pub(crate) panels: &'a mut [u8],
}

impl Kernel for PackedProduct<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        struct Run<'a, S>(PackedProduct<'a>, PhantomData<S>);

        impl<S: Simd> Visit for Run<'_, S> {
            type Out = ();

            #[inline(always)]
            fn visit<L: Packed>(self) {
                self.0.groups::<S, L>();
            }
        }

        visit(self.format, Run::<S>(self, PhantomData));
    }
}

impl PackedProduct<'_> {
    #[inline(always)]
    fn groups<S: Simd, L: Layout>(self) {
        let panel_bytes = bytes_of_group::<Panel<L>>(self.cols);
        let together = self.panels.len() / panel_bytes.max(1);
        if !S::WIDE || self.items.len() < PANEL_ROWS || together == 0 {
            for index in self.groups.clone() {
                let group = Group::new::<L>(self.bytes, index, self.cols);
                self.rows::<S, L>(group, index, 0..self.items.len());
            }
            return;
        }
        let mut first = self.groups.start;
        let panels = self.panels;
        let all = PackedProduct {
            panels: &mut [],
            ..self
        };
        while first < all.groups.end {
            let end = all.groups.end.min(first + together);
            for (index, panel) in (first..end).zip(panels.chunks_exact_mut(panel_bytes)) {
                unpack::<S, L>(Group::new::<L>(all.bytes, index, all.cols), all.cols, panel);
            }
            // A tile of rows stays in the first cache for all panels.
            for row in (0..all.items.len()).step_by(PANEL_TILE) {
                let rows = row..all.items.len().min(row + PANEL_TILE);
                for index in first..end {
                    let group = Group::new::<Panel<L>>(panels, index - first, all.cols);
                    all.rows::<S, Panel<L>>(group, index, rows.clone());
                }
            }
            first = end;
        }
    }

    /// The outputs of group `index` for `rows`.
    #[inline(always)]
    fn rows<S: Simd, L: Layout>(&self, group: Group<'_>, index: usize, rows: Range<usize>) {
        let mut row = rows.start;
        if S::WIDE {
            // Panels take no registers for unpacking.
            while row + PANEL_TILE <= rows.end && L::LOW == 8 {
                self.tile::<S, L, PANEL_TILE>(group, index, row);
                row += PANEL_TILE;
            }
            while row + 4 <= rows.end {
                self.tile::<S, L, 4>(group, index, row);
                row += 4;
            }
        }
        while row + 2 <= rows.end {
            self.tile::<S, L, 2>(group, index, row);
            row += 2;
        }
        while row < rows.end {
            self.tile::<S, L, 1>(group, index, row);
            row += 1;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, L: Layout, const R: usize>(&self, group: Group<'_>, index: usize, row: usize) {
        let mut x = [QuantizedRow::EMPTY; R];
        let mut starts = [0; R];
        for at in 0..R {
            let item = self.items.at(row + at);
            x[at] = self.x.row(item.x);
            starts[at] = item.out;
        }
        let sums = tile::<S, L, R>(group, self.cols, &x);
        let first = index * GROUP;
        let count = GROUP.min(self.sink.outputs - first);
        for at in 0..R {
            let mut lanes = [0.0; LANES];
            sums[at].store(&mut lanes);
            self.sink.put(starts[at], first, &lanes[..count]);
        }
    }
}
