//! Q5_K.

use bytemuck::{Pod, Zeroable};

use super::{above, join, number, sized};
use crate::block::{Input, Quantize, levels};
use crate::feedback::{Codes, whole};
use crate::search::affine::{Format, super_blocks};
use crate::{Block, BlockFormat, planes, sub_scales};

/// 256 numbers in 8 sub-blocks of 32: `number = scale * sub_scale * quant - min * sub_min`, with quants of 5 bits and
/// sub-scales and sub-minima of 6 (ggml-common.h, `block_q5_K`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ5K {
    /// The scale of the sub-scales, a little-endian f16.
    pub scale: [u8; 2],
    /// The scale of the sub-minima, a little-endian f16.
    pub min: [u8; 2],
    /// 8 sub-scales and 8 sub-minima, packed as in [`BlockQ4K`](crate::BlockQ4K::sub_scales).
    pub packed: [u8; 12],
    /// Bit `s` of byte `i` is the highest of quant `i` of sub-block `s`.
    pub high_bits: [u8; 32],
    /// Byte `32 * p + i` holds the low bits of number `i` of sub-block `2p` in its low half and of sub-block `2p + 1` in
    /// its high half.
    pub quants: [u8; 128],
}

sized!(BlockQ5K);

impl BlockQ5K {
    /// The sub-scales and the sub-minima, 6 bits each.
    #[must_use]
    pub fn sub_scales(&self) -> ([u8; 8], [u8; 8]) {
        sub_scales::unpack(&self.packed)
    }

    /// The bytes of sub-scales and sub-minima, of which the low 6 bits count.
    #[must_use]
    pub fn pack_sub_scales(scales: [u8; 8], minima: [u8; 8]) -> [u8; 12] {
        sub_scales::pack(scales, minima)
    }
}

impl Block<256, 8> for BlockQ5K {
    const FORMAT: BlockFormat = BlockFormat::Q5_K;

    fn levels(&self) -> [i8; 256] {
        let low = planes::unpack::<4, 32, 256>(&self.quants);
        levels(join::<4, 256>(low, planes::unpack::<1, 32, 256>(&self.high_bits)))
    }

    fn scales(&self) -> [f32; 8] {
        let scale = number(self.scale);
        self.sub_scales().0.map(|sub| scale * f32::from(sub))
    }

    fn minima(&self) -> [f32; 8] {
        let min = number(self.min);
        self.sub_scales().1.map(|sub| min * f32::from(sub))
    }
}

impl Quantize<256> for BlockQ5K {
    const BATCH: usize = 2;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 256>], emit: &mut impl FnMut(usize, Option<Self>)) {
        let format = Format {
            highest: 31.0,
            highest_sub: 63.0,
            grid_side: 8,
            grid_step: 0.3,
            rounds: 4,
        };
        super_blocks::<8, 32>(input, format, |block, fit| {
            emit(
                block,
                fit.map(|fit| Self {
                    scale: fit.scale.to_le_bytes(),
                    min: fit.minimum.to_le_bytes(),
                    packed: sub_scales::pack(fit.sub_scales, fit.sub_minima),
                    high_bits: planes::pack::<1, 32, 32>(&above::<4, 256>(&fit.levels)),
                    quants: planes::pack::<4, 32, 128>(&fit.levels),
                }),
            );
        });
    }
}

impl Codes<256, 8> for BlockQ5K {
    const LEVELS: &'static [i8] = &whole::<32>(0);

    fn set_levels(&mut self, indices: &[u8; 256]) {
        self.high_bits = planes::pack::<1, 32, 32>(&above::<4, 256>(indices));
        self.quants = planes::pack::<4, 32, 128>(indices);
    }
}
