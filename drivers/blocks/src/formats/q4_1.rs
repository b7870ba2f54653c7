//! Q4_1.

use bytemuck::{Pod, Zeroable};

use super::{number, sized};
use crate::block::{Quantize, levels};
use crate::search::affine::single;
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
    fn quantize(numbers: &[f32; 32], importance: Option<&[f32; 32]>) -> Option<Self> {
        let fit = single(numbers, importance, 15)?;
        Some(Self {
            scale: fit.scale.to_le_bytes(),
            offset: (-fit.minimum).to_le_bytes(),
            quants: planes::pack::<4, 16, 16>(&fit.levels),
        })
    }
}
