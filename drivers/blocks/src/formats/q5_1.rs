//! Q5_1.

use bytemuck::{Pod, Zeroable};

use super::{above, join, number, sized};
use crate::block::{Quantize, levels};
use crate::search::affine::single;
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
    fn quantize(numbers: &[f32; 32], importance: Option<&[f32; 32]>) -> Option<Self> {
        let fit = single(numbers, importance, 31)?;
        Some(Self {
            scale: fit.scale.to_le_bytes(),
            offset: (-fit.minimum).to_le_bytes(),
            high_bits: planes::pack::<1, 1, 4>(&above::<4, 32>(&fit.levels)),
            quants: planes::pack::<4, 16, 16>(&fit.levels),
        })
    }
}
