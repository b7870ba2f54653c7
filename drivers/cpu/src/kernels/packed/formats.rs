//! The formats, a row of constants each, and the numbers of their blocks.

use bytemuck::{bytes_of, bytes_of_mut, from_bytes, from_bytes_mut};
use mains_blocks::{
    BlockFormat, BlockIq4Nl, BlockIq4Xs, BlockMxfp4, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K,
    BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
};

use super::layout::{Layout, Scales};

/// The most columns of a block.
pub(super) const MOST_COLS: usize = 256;
/// The most sub-blocks of a block.
pub(super) const MOST_SUBS: usize = 16;

/// A block of one row between a file and a group.
pub(super) struct Raw {
    /// The bits that stand for each level.
    pub(super) codes: [u8; MOST_COLS],
    /// The scale as it is stored: a float16, or an exponent in the first byte.
    pub(super) scale: [u8; 2],
    pub(super) minimum: [u8; 2],
    pub(super) sub_scales: [u8; MOST_SUBS],
    pub(super) sub_minima: [u8; MOST_SUBS],
}

impl Raw {
    pub(super) const EMPTY: Self = Self {
        codes: [0; MOST_COLS],
        scale: [0; 2],
        minimum: [0; 2],
        sub_scales: [0; MOST_SUBS],
        sub_minima: [0; MOST_SUBS],
    };
}

/// A layout that blocks are packed to.
pub(crate) trait Packed: Layout {
    /// The bits of one block.
    fn read(bytes: &[u8]) -> Raw;

    /// The block of these bits: what [`Packed::read`] was given.
    fn write(raw: &Raw, bytes: &mut [u8]);
}

/// Does something with a format's layout.
pub(crate) trait Visit {
    type Out;

    fn visit<L: Packed>(self) -> Self::Out;
}

/// Formats that are packed.
const PACKED: [BlockFormat; 13] = [
    BlockFormat::Q8_0,
    BlockFormat::Q4_0,
    BlockFormat::Q4_1,
    BlockFormat::Q5_0,
    BlockFormat::Q5_1,
    BlockFormat::Q2_K,
    BlockFormat::Q3_K,
    BlockFormat::Q4_K,
    BlockFormat::Q5_K,
    BlockFormat::Q6_K,
    BlockFormat::IQ4_NL,
    BlockFormat::IQ4_XS,
    BlockFormat::MXFP4,
];

/// Whether matrices in `format` are packed.
pub(crate) fn is_packed(format: BlockFormat) -> bool {
    PACKED.contains(&format)
}

/// Calls `visitor` with the layout of `format`, which is one of [`PACKED`].
#[inline(always)]
pub(crate) fn visit<V: Visit>(format: BlockFormat, visitor: V) -> V::Out {
    match format {
        BlockFormat::Q8_0 => visitor.visit::<Q8_0>(),
        BlockFormat::Q4_0 => visitor.visit::<Q4_0>(),
        BlockFormat::Q4_1 => visitor.visit::<Q4_1>(),
        BlockFormat::Q5_0 => visitor.visit::<Q5_0>(),
        BlockFormat::Q5_1 => visitor.visit::<Q5_1>(),
        BlockFormat::Q2_K => visitor.visit::<Q2K>(),
        BlockFormat::Q3_K => visitor.visit::<Q3K>(),
        BlockFormat::Q4_K => visitor.visit::<Q4K>(),
        BlockFormat::Q5_K => visitor.visit::<Q5K>(),
        BlockFormat::Q6_K => visitor.visit::<Q6K>(),
        BlockFormat::IQ4_NL => visitor.visit::<Iq4Nl>(),
        BlockFormat::IQ4_XS => visitor.visit::<Iq4Xs>(),
        BlockFormat::MXFP4 => visitor.visit::<Mxfp4>(),
        BlockFormat::F32 | BlockFormat::F16 | BlockFormat::BF16 => {
            unreachable!("{format} is not packed")
        }
    }
}

/// The levels of IQ4_NL and IQ4_XS (ggml-common.h, `kvalues_iq4nl`), 128 above.
const UNEVEN: [u8; 16] = [
    1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241,
];
/// Twice the values of E2M1 (Open Compute Project, Microscaling Formats 1.0, section 5.3.3), 12 above.
const FLOATS: [u8; 16] = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0];

/// Where value `index` of a plane of `bits` bits is, whose bytes come in runs of `run`: the lowest bits of a run's bytes
/// hold its first values, the next bits the next, until the bytes are full.
const fn position(bits: usize, run: usize, index: usize) -> (usize, usize) {
    let of_run = run * 8 / bits;
    let value = index % of_run;
    (index / of_run * run + value % run, bits * (value / run))
}

/// The bits of `plane` for each of `codes`, above `above` others.
fn read_plane(plane: &[u8], bits: usize, run: usize, above: usize, codes: &mut [u8]) {
    for (index, code) in codes.iter_mut().enumerate() {
        let (byte, shift) = position(bits, run, index);
        *code |= (plane[byte] >> shift & u8::MAX >> (8 - bits)) << above;
    }
}

/// The inverse of [`read_plane`].
fn write_plane(plane: &mut [u8], bits: usize, run: usize, above: usize, codes: &[u8]) {
    plane.fill(0);
    for (index, code) in codes.iter().enumerate() {
        let (byte, shift) = position(bits, run, index);
        plane[byte] |= (code >> above & u8::MAX >> (8 - bits)) << shift;
    }
}

/// `name: block, bits below and above, zero, columns of a block and of a sub-block, scales, minima, table, whether above
/// 127`; then the fields of the bits below and above with the length of their runs, what is flipped in a byte of levels;
/// then how a block's header is read and written.
macro_rules! format {
    ($name:ident: $block:ty, $low:literal + $high:literal, zero $zero:literal, $cols:literal / $sub:literal,
     $scales:ident, $minima:literal, $table:expr, $full:literal,
     $low_field:ident / $low_run:literal, $high_field:ident / $high_run:literal, $read:expr, $write:expr) => {
        #[doc = concat!("[`", stringify!($block), "`]")]
        pub(crate) struct $name;

        impl Layout for $name {
            const LOW: usize = $low;
            const HIGH: usize = $high;
            const TABLE: Option<[u8; 16]> = $table;
            const ZERO: i16 = $zero;
            const FULL: bool = $full;
            const BLOCK: usize = $cols;
            const SUB: usize = $sub;
            const SCALES: Scales = Scales::$scales;
            const MINIMA: bool = $minima;
        }

        impl Packed for $name {
            fn read(bytes: &[u8]) -> Raw {
                let block: &$block = from_bytes(bytes);
                let mut raw = Raw::EMPTY;
                let codes = &mut raw.codes[..$cols];
                read_plane(bytes_of(&block.$low_field), $low, $low_run, 0, codes);
                if $high > 0 {
                    read_plane(bytes_of(&block.$high_field), $high, $high_run, $low, codes);
                }
                // A byte with a sign is stored as one without.
                if $low == 8 {
                    codes.iter_mut().for_each(|code| *code ^= 0x80);
                }
                $read(block, &mut raw);
                raw
            }

            fn write(raw: &Raw, bytes: &mut [u8]) {
                let block: &mut $block = from_bytes_mut(bytes);
                let mut codes = raw.codes;
                if $low == 8 {
                    codes.iter_mut().for_each(|code| *code ^= 0x80);
                }
                if $high > 0 {
                    write_plane(
                        bytes_of_mut(&mut block.$high_field),
                        $high,
                        $high_run,
                        $low,
                        &codes[..$cols],
                    );
                }
                write_plane(
                    bytes_of_mut(&mut block.$low_field),
                    $low,
                    $low_run,
                    0,
                    &codes[..$cols],
                );
                $write(raw, block);
            }
        }
    };
}

/// The first numbers.
fn first<T: Copy + Default, const FROM: usize, const TO: usize>(numbers: [T; FROM]) -> [T; TO] {
    let mut taken = [T::default(); TO];
    for (taken, number) in taken.iter_mut().zip(numbers) {
        *taken = number;
    }
    taken
}

fn unsigned<const SUBS: usize>(numbers: [i8; SUBS]) -> [u8; MOST_SUBS] {
    first(numbers.map(i8::cast_unsigned))
}

fn signed<const SUBS: usize>(numbers: [u8; MOST_SUBS]) -> [i8; SUBS] {
    first(numbers.map(u8::cast_signed))
}

/// A float16 of the other sign: what these formats add, not subtract.
fn negated(number: [u8; 2]) -> [u8; 2] {
    [number[0], number[1] ^ 0x80]
}

// With `1 + 0` bits a format has no plane above: the field that is named for it is not looked at.

format!(Q8_0: BlockQ8_0, 8 + 0, zero 128, 32 / 32, Half, false, None, true,
    quants / 32, quants / 32,
    |block: &BlockQ8_0, raw: &mut Raw| { raw.scale = block.scale; },
    |raw: &Raw, block: &mut BlockQ8_0| { block.scale = raw.scale; });
format!(Q4_0: BlockQ4_0, 4 + 0, zero 8, 32 / 32, Half, false, None, false,
    quants / 16, quants / 16,
    |block: &BlockQ4_0, raw: &mut Raw| { raw.scale = block.scale; },
    |raw: &Raw, block: &mut BlockQ4_0| { block.scale = raw.scale; });
format!(Q4_1: BlockQ4_1, 4 + 0, zero 0, 32 / 32, Half, true, None, false,
    quants / 16, quants / 16,
    |block: &BlockQ4_1, raw: &mut Raw| { (raw.scale, raw.minimum) = (block.scale, negated(block.offset)); },
    |raw: &Raw, block: &mut BlockQ4_1| { (block.scale, block.offset) = (raw.scale, negated(raw.minimum)); });
format!(Q5_0: BlockQ5_0, 4 + 1, zero 16, 32 / 32, Half, false, None, false,
    quants / 16, high_bits / 1,
    |block: &BlockQ5_0, raw: &mut Raw| { raw.scale = block.scale; },
    |raw: &Raw, block: &mut BlockQ5_0| { block.scale = raw.scale; });
format!(Q5_1: BlockQ5_1, 4 + 1, zero 0, 32 / 32, Half, true, None, false,
    quants / 16, high_bits / 1,
    |block: &BlockQ5_1, raw: &mut Raw| { (raw.scale, raw.minimum) = (block.scale, negated(block.offset)); },
    |raw: &Raw, block: &mut BlockQ5_1| { (block.scale, block.offset) = (raw.scale, negated(raw.minimum)); });
format!(Iq4Nl: BlockIq4Nl, 4 + 0, zero 128, 32 / 32, Half, false, Some(UNEVEN), true,
    indices / 16, indices / 16,
    |block: &BlockIq4Nl, raw: &mut Raw| { raw.scale = block.scale; },
    |raw: &Raw, block: &mut BlockIq4Nl| { block.scale = raw.scale; });
format!(Mxfp4: BlockMxfp4, 4 + 0, zero 12, 32 / 32, Exponent, false, Some(FLOATS), false,
    floats / 16, floats / 16,
    |block: &BlockMxfp4, raw: &mut Raw| { raw.scale = [block.exponent, 0]; },
    |raw: &Raw, block: &mut BlockMxfp4| { block.exponent = raw.scale[0]; });
format!(Q2K: BlockQ2K, 2 + 0, zero 0, 256 / 16, Nibbles, true, None, false,
    quants / 32, quants / 32,
    |block: &BlockQ2K, raw: &mut Raw| { (raw.scale, raw.minimum, raw.sub_scales) = (block.scale, block.min, block.packed); },
    |raw: &Raw, block: &mut BlockQ2K| { (block.scale, block.min, block.packed) = (raw.scale, raw.minimum, raw.sub_scales); });
format!(Q3K: BlockQ3K, 2 + 1, zero 4, 256 / 16, Signed, false, None, false,
    quants / 32, high_bits / 32,
    |block: &BlockQ3K, raw: &mut Raw| { (raw.scale, raw.sub_scales) = (block.scale, unsigned(block.sub_scales())); },
    |raw: &Raw, block: &mut BlockQ3K| { (block.scale, block.packed) = (raw.scale, BlockQ3K::pack_sub_scales(signed(raw.sub_scales))); });
format!(Q4K: BlockQ4K, 4 + 0, zero 0, 256 / 32, Unsigned, true, None, false,
    quants / 32, quants / 32,
    |block: &BlockQ4K, raw: &mut Raw| { (raw.scale, raw.minimum) = (block.scale, block.min);
        let (scales, minima) = block.sub_scales();
        (raw.sub_scales, raw.sub_minima) = (first(scales), first(minima)); },
    |raw: &Raw, block: &mut BlockQ4K| { (block.scale, block.min) = (raw.scale, raw.minimum);
        block.packed = BlockQ4K::pack_sub_scales(first(raw.sub_scales), first(raw.sub_minima)); });
format!(Q5K: BlockQ5K, 4 + 1, zero 0, 256 / 32, Unsigned, true, None, false,
    quants / 32, high_bits / 32,
    |block: &BlockQ5K, raw: &mut Raw| { (raw.scale, raw.minimum) = (block.scale, block.min);
        let (scales, minima) = block.sub_scales();
        (raw.sub_scales, raw.sub_minima) = (first(scales), first(minima)); },
    |raw: &Raw, block: &mut BlockQ5K| { (block.scale, block.min) = (raw.scale, raw.minimum);
        block.packed = BlockQ5K::pack_sub_scales(first(raw.sub_scales), first(raw.sub_minima)); });
format!(Q6K: BlockQ6K, 4 + 2, zero 32, 256 / 16, Signed, false, None, false,
    quants / 64, high_bits / 32,
    |block: &BlockQ6K, raw: &mut Raw| { (raw.scale, raw.sub_scales) = (block.scale, unsigned(block.sub_scales)); },
    |raw: &Raw, block: &mut BlockQ6K| { (block.scale, block.sub_scales) = (raw.scale, signed(raw.sub_scales)); });
format!(Iq4Xs: BlockIq4Xs, 4 + 0, zero 128, 256 / 32, Signed, false, Some(UNEVEN), true,
    indices / 16, indices / 16,
    |block: &BlockIq4Xs, raw: &mut Raw| { (raw.scale, raw.sub_scales) = (block.scale, unsigned(block.sub_scales())); },
    |raw: &Raw, block: &mut BlockIq4Xs| { block.scale = raw.scale;
        (block.sub_scales_high, block.sub_scales_low) = BlockIq4Xs::pack_sub_scales(signed(raw.sub_scales)); });
