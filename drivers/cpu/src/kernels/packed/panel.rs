//! A group unpacked for many rows of activations: a byte a level, a float32 a scale.

use std::marker::PhantomData;

use mains_contract::BlockFormat;

use super::formats::{Packed, Visit, visit};
use super::layout::{Base, Group, Layout, PART, PART_VECTORS, Scales, bytes_of_group, levels_bytes};
use crate::simd::{LANES, Simd, VECTOR_BYTES};

/// The levels and scales of `L`, unpacked.
pub(super) struct Panel<L>(PhantomData<L>);

impl<L: Layout> Layout for Panel<L> {
    const LOW: usize = 8;
    const HIGH: usize = 0;
    const TABLE: Option<[u8; 16]> = None;
    const ZERO: i16 = L::ZERO;
    const FULL: bool = L::FULL;
    const BLOCK: usize = PART;
    const SUB: usize = L::SUB;
    const SCALES: Scales = Scales::Float;
    const MINIMA: bool = L::MINIMA;
}

/// Bytes of a panel of `cols` columns of a packed `format`.
pub(crate) fn panel_bytes(format: BlockFormat, cols: usize) -> usize {
    struct Size(usize);

    impl Visit for Size {
        type Out = usize;

        fn visit<L: Packed>(self) -> usize {
            bytes_of_group::<Panel<L>>(self.0)
        }
    }

    visit(format, Size(cols))
}

/// Unpacks `group` to `panel`, which has as many bytes as [`panel_bytes`] says.
#[inline(always)]
pub(super) fn unpack<S: Simd, L: Layout>(group: Group<'_>, cols: usize, panel: &mut [u8]) {
    let (levels, headers) = panel.split_at_mut(levels_bytes::<Panel<L>>(cols));
    let levels = levels.as_chunks_mut::<VECTOR_BYTES>().0;
    let parts = L::BLOCK / PART;
    for block in 0..cols / L::BLOCK {
        let header = group.header::<L>(block);
        let base = Base::<S>::new::<L>(header);
        for part in 0..parts {
            let at = block * parts + part;
            let vectors = &mut levels[at * PART_VECTORS..][..PART_VECTORS];
            for (bytes, to) in group.levels::<S, L>(at).into_iter().zip(vectors) {
                S::store_bytes(bytes, to);
            }
            let size = Panel::<L>::HEADER;
            let (scales, minima) = headers[at * size..][..size].split_at_mut(Panel::<L>::BASE_BYTES);
            for sub in 0..PART / L::SUB {
                let of_block = part * (PART / L::SUB) + sub;
                store(base.scale::<L>(header, of_block), sub, scales);
                if L::MINIMA {
                    store(base.minimum::<L>(header, of_block), sub, minima);
                }
            }
        }
    }
}

#[inline(always)]
fn store<S: Simd>(vector: S, sub: usize, to: &mut [u8]) {
    let mut lanes = [0.0; LANES];
    vector.store(&mut lanes);
    to[sub * size_of_val(&lanes)..][..size_of_val(&lanes)].copy_from_slice(bytemuck::bytes_of(&lanes));
}
