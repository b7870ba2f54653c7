//! Q2_K.

use bytemuck::{Pod, Zeroable};

use super::{number, sized};
use crate::block::{Quantize, levels};
use crate::search::affine::super_block;
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
    fn quantize(numbers: &[f32; 256], importance: Option<&[f32; 256]>) -> Option<Self> {
        let fit = super_block::<16, 16>(numbers, importance, 3, 15)?;
        let mut packed = fit.sub_scales;
        for (both, minimum) in packed.iter_mut().zip(fit.sub_minima) {
            *both |= minimum << 4;
        }
        Some(Self {
            packed,
            quants: planes::pack::<2, 32, 64>(&fit.levels),
            scale: fit.scale.to_le_bytes(),
            min: fit.minimum.to_le_bytes(),
        })
    }
}
