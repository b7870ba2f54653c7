//! The formats, a row of constants each, and the numbers of their blocks.

use bytemuck::from_bytes;
use mains_blocks::{
    Block, BlockFormat, BlockIq4Nl, BlockIq4Xs, BlockMxfp4, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1,
    BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
};

use super::layout::{Layout, Scales};

/// The most columns of a block.
pub(super) const MOST_COLS: usize = 256;
/// The most sub-blocks of a block.
pub(super) const MOST_SUBS: usize = 16;

/// A block of one row, as `pack` takes it.
pub(super) struct Raw {
    pub(super) levels: [i8; MOST_COLS],
    /// The scale as it is stored: a float16, or an exponent in the first byte.
    pub(super) scale: [u8; 2],
    pub(super) minimum: [u8; 2],
    pub(super) sub_scales: [u8; MOST_SUBS],
    pub(super) sub_minima: [u8; MOST_SUBS],
}

/// A layout that blocks are packed to.
pub(crate) trait Packed: Layout {
    /// The numbers of one block.
    fn read(bytes: &[u8]) -> Raw;
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

/// `name: block, bits below and above, zero, columns of a block and of a sub-block, scales, minima, table, whether above
/// 127`, then how a block's numbers are read.
macro_rules! format {
    ($name:ident: $block:ty, $low:literal + $high:literal, zero $zero:literal, $cols:literal / $sub:literal,
     $scales:ident, $minima:literal, $table:expr, $full:literal, $read:expr) => {
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
                let mut levels = [0; MOST_COLS];
                levels[..$cols].copy_from_slice(&block.levels());
                let (scale, minimum, sub_scales, sub_minima) = $read(block);
                Raw {
                    levels,
                    scale,
                    minimum,
                    sub_scales,
                    sub_minima,
                }
            }
        }
    };
}

type Header = ([u8; 2], [u8; 2], [u8; MOST_SUBS], [u8; MOST_SUBS]);

fn plain(scale: [u8; 2]) -> Header {
    affine(scale, [0; 2])
}

fn affine(scale: [u8; 2], minimum: [u8; 2]) -> Header {
    (scale, minimum, [0; MOST_SUBS], [0; MOST_SUBS])
}

fn signed<const SUBS: usize>(scale: [u8; 2], sub_scales: [i8; SUBS]) -> Header {
    (
        scale,
        [0; 2],
        widen(sub_scales.map(i8::cast_unsigned)),
        [0; MOST_SUBS],
    )
}

fn unsigned(scale: [u8; 2], minimum: [u8; 2], (scales, minima): ([u8; 8], [u8; 8])) -> Header {
    (scale, minimum, widen(scales), widen(minima))
}

fn widen<const SUBS: usize>(numbers: [u8; SUBS]) -> [u8; MOST_SUBS] {
    let mut wide = [0; MOST_SUBS];
    wide[..SUBS].copy_from_slice(&numbers);
    wide
}

/// A float16 of the other sign: what these formats add, not subtract.
fn negated(number: [u8; 2]) -> [u8; 2] {
    [number[0], number[1] ^ 0x80]
}

format!(Q8_0: BlockQ8_0, 8 + 0, zero 128, 32 / 32, Half, false, None, true, |block: &BlockQ8_0| plain(block.scale));
format!(Q4_0: BlockQ4_0, 4 + 0, zero 8, 32 / 32, Half, false, None, false, |block: &BlockQ4_0| plain(block.scale));
format!(Q4_1: BlockQ4_1, 4 + 0, zero 0, 32 / 32, Half, true, None, false,
    |block: &BlockQ4_1| affine(block.scale, negated(block.offset)));
format!(Q5_0: BlockQ5_0, 4 + 1, zero 16, 32 / 32, Half, false, None, false, |block: &BlockQ5_0| plain(block.scale));
format!(Q5_1: BlockQ5_1, 4 + 1, zero 0, 32 / 32, Half, true, None, false,
    |block: &BlockQ5_1| affine(block.scale, negated(block.offset)));
format!(Iq4Nl: BlockIq4Nl, 4 + 0, zero 128, 32 / 32, Half, false, Some(UNEVEN), true,
    |block: &BlockIq4Nl| plain(block.scale));
format!(Mxfp4: BlockMxfp4, 4 + 0, zero 12, 32 / 32, Exponent, false, Some(FLOATS), false,
    |block: &BlockMxfp4| plain([block.exponent, 0]));
format!(Q2K: BlockQ2K, 2 + 0, zero 0, 256 / 16, Nibbles, true, None, false,
    |block: &BlockQ2K| (block.scale, block.min, block.packed, [0; MOST_SUBS]));
format!(Q3K: BlockQ3K, 2 + 1, zero 4, 256 / 16, Signed, false, None, false,
    |block: &BlockQ3K| signed(block.scale, block.sub_scales()));
format!(Q4K: BlockQ4K, 4 + 0, zero 0, 256 / 32, Unsigned, true, None, false,
    |block: &BlockQ4K| unsigned(block.scale, block.min, block.sub_scales()));
format!(Q5K: BlockQ5K, 4 + 1, zero 0, 256 / 32, Unsigned, true, None, false,
    |block: &BlockQ5K| unsigned(block.scale, block.min, block.sub_scales()));
format!(Q6K: BlockQ6K, 4 + 2, zero 32, 256 / 16, Signed, false, None, false,
    |block: &BlockQ6K| signed(block.scale, block.sub_scales));
format!(Iq4Xs: BlockIq4Xs, 4 + 0, zero 128, 256 / 32, Signed, false, Some(UNEVEN), true,
    |block: &BlockIq4Xs| signed(block.scale, block.sub_scales()));
