//! Q2_K.

use bytemuck::{Pod, Zeroable};

use super::{number, sized};
use crate::block::{Input, Quantize, levels};
use crate::feedback::{Codes, whole};
use crate::search::affine::{Format, super_blocks};
use crate::{Block, BlockFormat, planes};

/// 256 numbers in 16 sub-blocks of 16: `number = scale * sub_scale * quant - min * sub_min`, with quants of 2 bits and
/// sub-scales and sub-minima of 4 (ggml-common.h, `block_q2_K`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ2K {
    /// The sub-scale of each sub-block in the low half, its sub-minimum in the high half.
    pub packed: [u8; 16],
    /// Bits `2p` and `2p + 1` of byte `32 * h + i` hold quant `128 * h + 32 * p + i`.
    pub quants: [u8; 64],
    /// The scale of the sub-scales, a little-endian f16.
    pub scale: [u8; 2],
    /// The scale of the sub-minima, a little-endian f16.
    pub min: [u8; 2],
}

sized!(BlockQ2K);

impl Block<256, 16> for BlockQ2K {
    const FORMAT: BlockFormat = BlockFormat::Q2_K;

    fn levels(&self) -> [i8; 256] {
        levels(planes::unpack::<2, 32, 256>(&self.quants))
    }

    fn scales(&self) -> [f32; 16] {
        let scale = number(self.scale);
        self.packed.map(|both| scale * f32::from(both & 0x0f))
    }

    fn minima(&self) -> [f32; 16] {
        let min = number(self.min);
        self.packed.map(|both| min * f32::from(both >> 4))
    }
}

impl Quantize<256> for BlockQ2K {
    const BATCH: usize = 1;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 256>], emit: &mut impl FnMut(usize, Option<Self>)) {
        let format = Format {
            highest: 3.0,
            highest_sub: 15.0,
            grid_side: 10,
            grid_step: 0.15,
            rounds: 6,
        };
        super_blocks::<16, 16>(input, format, |block, fit| {
            emit(
                block,
                fit.map(|fit| {
                    let mut packed = fit.sub_scales;
                    for (both, minimum) in packed.iter_mut().zip(fit.sub_minima) {
                        *both |= minimum << 4;
                    }
                    Self {
                        packed,
                        quants: planes::pack::<2, 32, 64>(&fit.levels),
                        scale: fit.scale.to_le_bytes(),
                        min: fit.minimum.to_le_bytes(),
                    }
                }),
            );
        });
    }
}

impl Codes<256, 16> for BlockQ2K {
    const LEVELS: &'static [i8] = &whole::<4>(0);

    fn set_levels(&mut self, indices: &[u8; 256]) {
        self.quants = planes::pack::<2, 32, 64>(indices);
    }
}
