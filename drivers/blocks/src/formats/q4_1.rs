//! Q4_1.

use bytemuck::{Pod, Zeroable};

use super::{number, sized};
use crate::block::{Input, Quantize, levels};
use crate::feedback::{Codes, whole};
use crate::search::affine::{Format, singles};
use crate::{Block, BlockFormat, planes};

/// 32 numbers: `number = scale * quant + offset` (ggml-common.h, `block_q4_1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ4_1 {
    /// The scale, a little-endian f16.
    pub scale: [u8; 2],
    /// What is added, a little-endian f16.
    pub offset: [u8; 2],
    /// Byte `i` holds quant `i` in its low half and quant `i + 16` in its high half.
    pub quants: [u8; 16],
}

sized!(BlockQ4_1);

impl Block<32, 1> for BlockQ4_1 {
    const FORMAT: BlockFormat = BlockFormat::Q4_1;

    fn levels(&self) -> [i8; 32] {
        levels(planes::unpack::<4, 16, 32>(&self.quants))
    }

    fn scales(&self) -> [f32; 1] {
        [number(self.scale)]
    }

    fn minima(&self) -> [f32; 1] {
        [-number(self.offset)]
    }
}

impl Quantize<32> for BlockQ4_1 {
    const BATCH: usize = 16;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 32>], emit: &mut impl FnMut(usize, Option<Self>)) {
        let format = Format {
            highest: 15.0,
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
                    quants: planes::pack::<4, 16, 16>(&fit.levels),
                }),
            );
        });
    }
}

impl Codes<32, 1> for BlockQ4_1 {
    const LEVELS: &'static [i8] = &whole::<16>(0);

    fn set_levels(&mut self, indices: &[u8; 32]) {
        self.quants = planes::pack::<4, 16, 16>(indices);
    }
}
