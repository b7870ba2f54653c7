//! Q3_K.

use bytemuck::{Pod, Zeroable};

use super::{above, join, number, sized};
use crate::block::{Input, Quantize, centered};
use crate::feedback::{Codes, whole};
use crate::search::signed::{Whole, super_blocks};
use crate::{Block, BlockFormat, planes};

/// The lowest level.
const LOWEST: i8 = -4;
/// The lowest sub-scale.
const LOWEST_SUB: i8 = -32;

/// 256 numbers in 16 sub-blocks of 16: `number = scale * (sub_scale - 32) * (quant - 4)`, with quants of 3 bits and
/// sub-scales of 6 (ggml-common.h, `block_q3_K`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ3K {
    /// Bit `p` of byte `i` is the highest of quant `32 * p + i`.
    pub high_bits: [u8; 32],
    /// Bits `2p` and `2p + 1` of byte `32 * h + i` hold the low bits of quant `128 * h + 32 * p + i`.
    pub quants: [u8; 64],
    /// 16 sub-scales; see [`BlockQ3K::sub_scales`].
    pub packed: [u8; 12],
    /// The scale of the sub-scales, a little-endian f16.
    pub scale: [u8; 2],
}

sized!(BlockQ3K);

impl BlockQ3K {
    /// The sub-scales, less 32.
    ///
    /// Bytes 0..8 hold the low 4 bits of the first eight in their low halves and of the others in their high halves; bits
    /// `2p` and `2p + 1` of byte `8 + i` are the high bits of sub-scale `4 * p + i`.
    #[must_use]
    pub fn sub_scales(&self) -> [i8; 16] {
        let (low, high) = self.packed.split_at(8);
        let joined = join::<4, 16>(planes::unpack::<4, 8, 16>(low), planes::unpack::<2, 4, 16>(high));
        centered(joined, -LOWEST_SUB)
    }

    /// The bytes of sub-scales, which are from -32 to 31.
    #[must_use]
    pub fn pack_sub_scales(sub_scales: [i8; 16]) -> [u8; 12] {
        let values = sub_scales.map(|sub| sub.wrapping_sub(LOWEST_SUB).cast_unsigned());
        let mut packed = [0; 12];
        packed[..8].copy_from_slice(&planes::pack::<4, 8, 8>(&values));
        packed[8..].copy_from_slice(&planes::pack::<2, 4, 4>(&above::<4, 16>(&values)));
        packed
    }
}

impl Block<256, 16> for BlockQ3K {
    const FORMAT: BlockFormat = BlockFormat::Q3_K;

    fn levels(&self) -> [i8; 256] {
        let low = planes::unpack::<2, 32, 256>(&self.quants);
        let high = planes::unpack::<1, 32, 256>(&self.high_bits);
        centered(join::<2, 256>(low, high), -LOWEST)
    }

    fn scales(&self) -> [f32; 16] {
        let scale = number(self.scale);
        self.sub_scales().map(|sub| scale * f32::from(sub))
    }
}

impl Quantize<256> for BlockQ3K {
    const BATCH: usize = 1;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 256>], emit: &mut impl FnMut(usize, Option<Self>)) {
        super_blocks::<Whole<LOWEST>, 16, 16>(input, LOWEST_SUB, |block, fit| {
            emit(
                block,
                fit.map(|fit| Self {
                    high_bits: planes::pack::<1, 32, 32>(&above::<2, 256>(&fit.indices)),
                    quants: planes::pack::<2, 32, 64>(&fit.indices),
                    packed: Self::pack_sub_scales(fit.sub_scales),
                    scale: fit.scale.to_le_bytes(),
                }),
            );
        });
    }
}

impl Codes<256, 16> for BlockQ3K {
    const LEVELS: &'static [i8] = &whole::<8>(LOWEST);

    fn set_levels(&mut self, indices: &[u8; 256]) {
        self.high_bits = planes::pack::<1, 32, 32>(&above::<2, 256>(indices));
        self.quants = planes::pack::<2, 32, 64>(indices);
    }
}
