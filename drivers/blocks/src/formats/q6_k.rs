//! Q6_K.

use bytemuck::{Pod, Zeroable};

use super::{above, join, number, sized};
use crate::block::{Input, Quantize, centered};
use crate::feedback::{Codes, whole};
use crate::search::signed::{Whole, super_blocks};
use crate::{Block, BlockFormat, planes};

/// The lowest level.
const LOWEST: i8 = -32;

/// 256 numbers in 16 sub-blocks of 16: `number = scale * sub_scale * (quant - 32)`, with quants of 6 bits and sub-scales
/// of 8 (ggml-common.h, `block_q6_K`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ6K {
    /// Byte `64 * h + i` holds the low bits of quant `128 * h + i` in its low half and those of quant `128 * h + 64 + i` in
    /// its high half.
    pub quants: [u8; 128],
    /// Bits `2p` and `2p + 1` of byte `32 * h + i` are the high bits of quant `128 * h + 32 * p + i`.
    pub high_bits: [u8; 64],
    /// The sub-scales.
    pub sub_scales: [i8; 16],
    /// The scale of the sub-scales, a little-endian f16.
    pub scale: [u8; 2],
}

sized!(BlockQ6K);

impl Block<256, 16> for BlockQ6K {
    const FORMAT: BlockFormat = BlockFormat::Q6_K;

    fn levels(&self) -> [i8; 256] {
        let low = planes::unpack::<4, 64, 256>(&self.quants);
        let high = planes::unpack::<2, 32, 256>(&self.high_bits);
        centered(join::<4, 256>(low, high), -LOWEST)
    }

    fn scales(&self) -> [f32; 16] {
        let scale = number(self.scale);
        self.sub_scales.map(|sub| scale * f32::from(sub))
    }
}

impl Quantize<256> for BlockQ6K {
    const BATCH: usize = 1;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 256>], emit: &mut impl FnMut(usize, Option<Self>)) {
        super_blocks::<Whole<LOWEST>, 16, 16>(input, i8::MIN, |block, fit| {
            emit(
                block,
                fit.map(|fit| Self {
                    quants: planes::pack::<4, 64, 128>(&fit.indices),
                    high_bits: planes::pack::<2, 32, 64>(&above::<4, 256>(&fit.indices)),
                    sub_scales: fit.sub_scales,
                    scale: fit.scale.to_le_bytes(),
                }),
            );
        });
    }
}

impl Codes<256, 16> for BlockQ6K {
    const LEVELS: &'static [i8] = &whole::<64>(LOWEST);

    fn set_levels(&mut self, indices: &[u8; 256]) {
        self.quants = planes::pack::<4, 64, 128>(indices);
        self.high_bits = planes::pack::<2, 32, 64>(&above::<4, 256>(indices));
    }
}
