//! From the blocks of a file to groups of rows, and back: every bit has its place in both.

use super::formats::{MOST_COLS, Packed, Raw, Visit, visit};
use super::layout::{GROUP, Layout, PART, bytes_of_group, levels_bytes, place};
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
        let (levels, headers) = self.out.split_at_mut(levels_bytes::<L>(self.cols));
        let levels = levels.as_chunks_mut::<VECTOR_BYTES>().0;
        let blocks = self.cols / L::BLOCK;
        for (row, source) in self.source.chunks_exact(self.row_bytes).take(GROUP).enumerate() {
            let blocks = source.chunks_exact(self.row_bytes / blocks);
            let headers = headers.chunks_exact_mut(L::HEADER);
            let parts = levels.chunks_exact_mut(L::BLOCK / PART * L::VECTORS);
            for ((bytes, header), vectors) in blocks.zip(headers).zip(parts) {
                let raw = L::read(bytes);
                put_codes::<L>(row, &raw.codes, vectors);
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

/// Where the bits of a level are in the vectors of its [`PART`]: the vector and the shift of the lower and of the upper.
const fn places<L: Layout>(quad: usize) -> [(usize, usize); 2] {
    let low = place(L::LOW, quad);
    if L::HIGH == 0 {
        return [low, (0, 0)];
    }
    let (vector, shift) = place(L::HIGH, quad);
    [low, (L::LOW + vector, shift)]
}

fn put_codes<L: Packed>(row: usize, codes: &[u8; MOST_COLS], vectors: &mut [[u8; VECTOR_BYTES]]) {
    let parts = vectors.chunks_exact_mut(L::VECTORS).zip(codes.chunks_exact(PART));
    for (vectors, codes) in parts {
        for (at, code) in codes.iter().enumerate() {
            let (byte, [low, high]) = (4 * row + at % 4, places::<L>(at / 4));
            vectors[low.0][byte] |= (code & u8::MAX >> (8 - L::LOW)) << low.1;
            if L::HIGH > 0 {
                vectors[high.0][byte] |= code >> L::LOW << high.1;
            }
        }
    }
}

fn take_codes<L: Packed>(row: usize, vectors: &[[u8; VECTOR_BYTES]], codes: &mut [u8; MOST_COLS]) {
    let parts = vectors.chunks_exact(L::VECTORS).zip(codes.chunks_exact_mut(PART));
    for (vectors, codes) in parts {
        for (at, code) in codes.iter_mut().enumerate() {
            let (byte, [low, high]) = (4 * row + at % 4, places::<L>(at / 4));
            *code = vectors[low.0][byte] >> low.1 & u8::MAX >> (8 - L::LOW);
            if L::HIGH > 0 {
                *code |= (vectors[high.0][byte] >> high.1 & ((1 << L::HIGH) - 1)) << L::LOW;
            }
        }
    }
}

/// A group, and the rows of blocks that it was made of.
pub(crate) struct UnpackGroup<'a> {
    /// [`group_bytes`] bytes.
    pub(crate) source: &'a [u8],
    pub(crate) row_bytes: usize,
    pub(crate) cols: usize,
    /// Up to 16 whole rows, one after the other.
    pub(crate) out: &'a mut [u8],
}

impl UnpackGroup<'_> {
    /// Fills the rows.
    pub(crate) fn unpack(self, format: BlockFormat) {
        visit(format, self);
    }
}

impl Visit for UnpackGroup<'_> {
    type Out = ();

    fn visit<L: Packed>(self) {
        let (levels, headers) = self.source.split_at(levels_bytes::<L>(self.cols));
        let levels = levels.as_chunks::<VECTOR_BYTES>().0;
        let blocks = self.cols / L::BLOCK;
        for (row, out) in self.out.chunks_exact_mut(self.row_bytes).take(GROUP).enumerate() {
            let blocks = out.chunks_exact_mut(self.row_bytes / blocks);
            let headers = headers.chunks_exact(L::HEADER);
            let parts = levels.chunks_exact(L::BLOCK / PART * L::VECTORS);
            for ((bytes, header), vectors) in blocks.zip(headers).zip(parts) {
                let mut raw = Raw::EMPTY;
                take_codes::<L>(row, vectors, &mut raw.codes);
                let base = L::BASE_BYTES / LANES;
                raw.scale[..base].copy_from_slice(&header[row * base..][..base]);
                if L::MINIMA {
                    raw.minimum[..base].copy_from_slice(&header[L::BASE_BYTES + row * base..][..base]);
                }
                for sub in 0..(L::HEADER - L::SUBS_AT) / LANES {
                    let byte = header[L::SUBS_AT + sub * LANES + row];
                    if sub < L::SUBS {
                        raw.sub_scales[sub] = byte;
                    } else {
                        raw.sub_minima[sub - L::SUBS] = byte;
                    }
                }
                L::write(&raw, bytes);
            }
        }
    }
}
