//! Q5_1.

use bytemuck::{Pod, Zeroable};

use super::{above, join, number, sized};
use crate::block::{Input, Quantize, levels};
use crate::feedback::{Codes, whole};
use crate::search::affine::{Format, singles};
use crate::{Block, BlockFormat, planes};

/// 32 numbers: `number = scale * quant + offset` (ggml-common.h, `block_q5_1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ5_1 {
    /// The scale, a little-endian f16.
    pub scale: [u8; 2],
    /// What is added, a little-endian f16.
    pub offset: [u8; 2],
    /// Bit `i`, counted from the lowest of the first byte, is the highest of quant `i`.
    pub high_bits: [u8; 4],
    /// Byte `i` holds the low bits of quant `i` in its low half and those of quant `i + 16` in its high half.
    pub quants: [u8; 16],
}

sized!(BlockQ5_1);

impl Block<32, 1> for BlockQ5_1 {
    const FORMAT: BlockFormat = BlockFormat::Q5_1;

    fn levels(&self) -> [i8; 32] {
        let low = planes::unpack::<4, 16, 32>(&self.quants);
        levels(join::<4, 32>(low, planes::unpack::<1, 1, 32>(&self.high_bits)))
    }

    fn scales(&self) -> [f32; 1] {
        [number(self.scale)]
    }

    fn minima(&self) -> [f32; 1] {
        [-number(self.offset)]
    }
}

impl Quantize<32> for BlockQ5_1 {
    const BATCH: usize = 16;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 32>], emit: &mut impl FnMut(usize, Option<Self>)) {
        let format = Format {
            highest: 31.0,
            highest_sub: 0.0,
            grid_side: 10,
            grid_step: 0.15,
            rounds: 0,
        };
        singles(input, format, |block, fit| {
            emit(
                block,
                fit.map(|fit| Self {
                    scale: fit.scale.to_le_bytes(),
                    offset: (-fit.minimum).to_le_bytes(),
                    high_bits: planes::pack::<1, 1, 4>(&above::<4, 32>(&fit.levels)),
                    quants: planes::pack::<4, 16, 16>(&fit.levels),
                }),
            );
        });
    }
}

impl Codes<32, 1> for BlockQ5_1 {
    const LEVELS: &'static [i8] = &whole::<32>(0);

    fn set_levels(&mut self, indices: &[u8; 32]) {
        self.high_bits = planes::pack::<1, 1, 4>(&above::<4, 32>(indices));
        self.quants = planes::pack::<4, 16, 16>(indices);
    }
}
