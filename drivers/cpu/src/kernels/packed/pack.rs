//! From the blocks of a file to groups of rows.

use super::formats::{MOST_COLS, Packed, Visit, visit};
use super::layout::{GROUP, PART, bytes_of_group, levels_bytes, place};
use crate::simd::{LANES, VECTOR_BYTES};
use mains_contract::BlockFormat;

/// Bytes of a group of rows of `cols` columns in `format`, which is a packed one.
pub(crate) fn group_bytes(format: BlockFormat, cols: usize) -> usize {
    struct Size(usize);

    impl Visit for Size {
        type Out = usize;

        fn visit<L: Packed>(self) -> usize {
            bytes_of_group::<L>(self.0)
        }
    }

    visit(format, Size(cols))
}

/// Up to 16 rows of blocks, and the group that they become.
pub(crate) struct PackGroup<'a> {
    /// Whole rows, one after the other.
    pub(crate) source: &'a [u8],
    pub(crate) row_bytes: usize,
    pub(crate) cols: usize,
    /// Zeros, [`group_bytes`] of them; rows that are missing stay zero.
    pub(crate) out: &'a mut [u8],
}

impl PackGroup<'_> {
    /// Fills the group.
    pub(crate) fn pack(self, format: BlockFormat) {
        visit(format, self);
    }
}

impl Visit for PackGroup<'_> {
    type Out = ();

    fn visit<L: Packed>(self) {
        let codes = codes::<L>();
        let (levels, headers) = self.out.split_at_mut(levels_bytes::<L>(self.cols));
        let levels = levels.as_chunks_mut::<VECTOR_BYTES>().0;
        let blocks = self.cols / L::BLOCK;
        for (row, source) in self.source.chunks_exact(self.row_bytes).take(GROUP).enumerate() {
            let blocks = source.chunks_exact(self.row_bytes / blocks);
            let headers = headers.chunks_exact_mut(L::HEADER);
            let parts = levels.chunks_exact_mut(L::BLOCK / PART * L::VECTORS);
            for ((bytes, header), vectors) in blocks.zip(headers).zip(parts) {
                let raw = L::read(bytes);
                put_levels::<L>(row, &codes, &raw.levels, vectors);
                let base = L::BASE_BYTES / LANES;
                header[row * base..][..base].copy_from_slice(&raw.scale[..base]);
                if L::MINIMA {
                    header[L::BASE_BYTES + row * base..][..base].copy_from_slice(&raw.minimum[..base]);
                }
                for sub in 0..(L::HEADER - L::SUBS_AT) / LANES {
                    let bytes = if sub < L::SUBS {
                        raw.sub_scales[sub]
                    } else {
                        raw.sub_minima[sub - L::SUBS]
                    };
                    header[L::SUBS_AT + sub * LANES + row] = bytes;
                }
            }
        }
    }
}

/// The bits that a level is stored as, by the level as an unsigned byte.
fn codes<L: Packed>() -> [u8; 256] {
    let mut codes = [0; 256];
    for bits in 0..=u8::MAX {
        let stored = match L::TABLE {
            Some(table) => table.get(usize::from(bits)).copied(),
            None => Some(bits),
        };
        if let Some(stored) = stored {
            let level = i16::from(stored) - L::ZERO;
            codes[usize::from(level.to_le_bytes()[0])] = bits;
        }
    }
    codes
}

fn put_levels<L: Packed>(
    row: usize,
    codes: &[u8; 256],
    levels: &[i8; MOST_COLS],
    vectors: &mut [[u8; VECTOR_BYTES]],
) {
    let parts = vectors
        .chunks_exact_mut(L::VECTORS)
        .zip(levels.chunks_exact(PART));
    for (vectors, levels) in parts {
        for (at, level) in levels.iter().enumerate() {
            let code = codes[usize::from(level.cast_unsigned())];
            let (quad, byte) = (at / 4, 4 * row + at % 4);
            let (vector, shift) = place(L::LOW, quad);
            vectors[vector][byte] |= (code & u8::MAX >> (8 - L::LOW)) << shift;
            if L::HIGH > 0 {
                let (vector, shift) = place(L::HIGH, quad);
                vectors[L::LOW + vector][byte] |= code >> L::LOW << shift;
            }
        }
    }
}
