//! Q4_K.

use bytemuck::{Pod, Zeroable};

use super::{number, sized};
use crate::block::{Input, Quantize, levels};
use crate::feedback::{Codes, whole};
use crate::search::affine::{Format, super_blocks};
use crate::{Block, BlockFormat, planes, sub_scales};

/// Numbers in a sub-block of Q4_K.
pub const Q4_K_SUB_LEN: usize = 32;
/// Sub-blocks in a block of Q4_K.
pub const Q4_K_SUB_BLOCKS: usize = sub_scales::SUBS;

/// 256 numbers in 8 sub-blocks of 32: `number = scale * sub_scale * quant - min * sub_min`, with quants of 4 bits and
/// sub-scales and sub-minima of 6 (ggml-common.h, `block_q4_K`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ4K {
    /// The scale of the sub-scales, a little-endian f16.
    pub scale: [u8; 2],
    /// The scale of the sub-minima, a little-endian f16.
    pub min: [u8; 2],
    /// 8 sub-scales and 8 sub-minima; see [`BlockQ4K::sub_scales`].
    pub packed: [u8; 12],
    /// Byte `32 * p + i` holds number `i` of sub-block `2p` in its low half and of sub-block `2p + 1` in its high half.
    pub quants: [u8; 128],
}

sized!(BlockQ4K);

impl BlockQ4K {
    /// The scale of the sub-scales as f32.
    #[must_use]
    pub fn scale(&self) -> f32 {
        number(self.scale)
    }

    /// The scale of the sub-minima as f32.
    #[must_use]
    pub fn min(&self) -> f32 {
        number(self.min)
    }

    /// The sub-scales and the sub-minima, 6 bits each.
    ///
    /// Bytes 0..8 hold the low 6 bits of the first four (scales, then minima) with two upper bits of sub-blocks
    /// 4..8 above them; bytes 8..12 hold the low 4 bits of sub-blocks 4..8, the scale below the minimum.
    #[must_use]
    pub fn sub_scales(&self) -> ([u8; Q4_K_SUB_BLOCKS], [u8; Q4_K_SUB_BLOCKS]) {
        sub_scales::unpack(&self.packed)
    }

    /// The bytes of sub-scales and sub-minima, of which the low 6 bits count.
    #[must_use]
    pub fn pack_sub_scales(scales: [u8; 8], minima: [u8; 8]) -> [u8; 12] {
        sub_scales::pack(scales, minima)
    }
}

impl Block<256, 8> for BlockQ4K {
    const FORMAT: BlockFormat = BlockFormat::Q4_K;

    fn levels(&self) -> [i8; 256] {
        levels(planes::unpack::<4, 32, 256>(&self.quants))
    }

    fn scales(&self) -> [f32; 8] {
        self.sub_scales().0.map(|sub| self.scale() * f32::from(sub))
    }

    fn minima(&self) -> [f32; 8] {
        self.sub_scales().1.map(|sub| self.min() * f32::from(sub))
    }
}

impl Quantize<256> for BlockQ4K {
    const BATCH: usize = 2;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 256>], emit: &mut impl FnMut(usize, Option<Self>)) {
        let format = Format {
            highest: 15.0,
            highest_sub: 63.0,
            grid_side: 8,
            grid_step: 0.25,
            rounds: 4,
        };
        super_blocks::<8, 32>(input, format, |block, fit| {
            emit(
                block,
                fit.map(|fit| Self {
                    scale: fit.scale.to_le_bytes(),
                    min: fit.minimum.to_le_bytes(),
                    packed: sub_scales::pack(fit.sub_scales, fit.sub_minima),
                    quants: planes::pack::<4, 32, 128>(&fit.levels),
                }),
            );
        });
    }
}

impl Codes<256, 8> for BlockQ4K {
    const LEVELS: &'static [i8] = &whole::<16>(0);

    fn set_levels(&mut self, indices: &[u8; 256]) {
        self.quants = planes::pack::<4, 32, 128>(indices);
    }
}
