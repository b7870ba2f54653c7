//! IQ4_XS.

use bytemuck::{Pod, Zeroable};

use super::{above, iq4, join, number, sized};
use crate::block::{Input, Quantize, centered};
use crate::feedback::Codes;
use crate::search::signed::super_blocks;
use crate::{Block, BlockFormat, planes};

/// The lowest sub-scale.
const LOWEST_SUB: i8 = -32;

/// 256 numbers in 8 sub-blocks of 32: `number = scale * (sub_scale - 32) * level(index)` with the levels of IQ4_NL and
/// sub-scales of 6 bits (ggml-common.h, `block_iq4_xs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockIq4Xs {
    /// The scale of the sub-scales, a little-endian f16.
    pub scale: [u8; 2],
    /// The high 2 bits of each sub-scale, the first in the lowest bits of the first byte.
    pub sub_scales_high: [u8; 2],
    /// The low 4 bits of each sub-scale, the first in the low half of the first byte.
    pub sub_scales_low: [u8; 4],
    /// Byte `16 * s + i` holds index `i` of sub-block `s` in its low half and index `i + 16` in its high half.
    pub indices: [u8; 128],
}

sized!(BlockIq4Xs);

impl BlockIq4Xs {
    /// The sub-scales, less 32.
    #[must_use]
    pub fn sub_scales(&self) -> [i8; 8] {
        let low = planes::unpack::<4, 1, 8>(&self.sub_scales_low);
        let high = planes::unpack::<2, 1, 8>(&self.sub_scales_high);
        centered(join::<4, 8>(low, high), -LOWEST_SUB)
    }

    /// The high and the low bits of sub-scales, which are from -32 to 31.
    #[must_use]
    pub fn pack_sub_scales(sub_scales: [i8; 8]) -> ([u8; 2], [u8; 4]) {
        let values = sub_scales.map(|sub| sub.wrapping_sub(LOWEST_SUB).cast_unsigned());
        (
            planes::pack::<2, 1, 2>(&above::<4, 8>(&values)),
            planes::pack::<4, 1, 4>(&values),
        )
    }
}

impl Block<256, 8> for BlockIq4Xs {
    const FORMAT: BlockFormat = BlockFormat::IQ4_XS;

    fn levels(&self) -> [i8; 256] {
        iq4::at(planes::unpack::<4, 16, 256>(&self.indices))
    }

    fn scales(&self) -> [f32; 8] {
        let scale = number(self.scale);
        self.sub_scales().map(|sub| scale * f32::from(sub))
    }
}

impl Quantize<256> for BlockIq4Xs {
    const BATCH: usize = 2;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 256>], emit: &mut impl FnMut(usize, Option<Self>)) {
        super_blocks::<iq4::Table, 8, 32>(input, LOWEST_SUB, |block, fit| {
            emit(
                block,
                fit.map(|fit| {
                    let (sub_scales_high, sub_scales_low) = Self::pack_sub_scales(fit.sub_scales);
                    Self {
                        scale: fit.scale.to_le_bytes(),
                        sub_scales_high,
                        sub_scales_low,
                        indices: planes::pack::<4, 16, 128>(&fit.indices),
                    }
                }),
            );
        });
    }
}

impl Codes<256, 8> for BlockIq4Xs {
    const LEVELS: &'static [i8] = &iq4::LEVELS;

    fn set_levels(&mut self, indices: &[u8; 256]) {
        self.indices = planes::pack::<4, 16, 128>(indices);
    }
}
