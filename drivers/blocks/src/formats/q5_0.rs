//! Q5_0.

use bytemuck::{Pod, Zeroable};

use super::{above, join, number, sized};
use crate::block::{Input, Quantize, centered};
use crate::feedback::{Codes, whole};
use crate::search::signed::{Whole, singles};
use crate::{Block, BlockFormat, planes};

/// The lowest level.
const LOWEST: i8 = -16;

/// 32 numbers: `number = scale * (quant - 16)` (ggml-common.h, `block_q5_0`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ5_0 {
    /// The scale, a little-endian f16.
    pub scale: [u8; 2],
    /// Bit `i`, counted from the lowest of the first byte, is the highest of quant `i`.
    pub high_bits: [u8; 4],
    /// Byte `i` holds the low bits of quant `i` in its low half and those of quant `i + 16` in its high half.
    pub quants: [u8; 16],
}

sized!(BlockQ5_0);

impl Block<32, 1> for BlockQ5_0 {
    const FORMAT: BlockFormat = BlockFormat::Q5_0;

    fn levels(&self) -> [i8; 32] {
        let low = planes::unpack::<4, 16, 32>(&self.quants);
        centered(
            join::<4, 32>(low, planes::unpack::<1, 1, 32>(&self.high_bits)),
            -LOWEST,
        )
    }

    fn scales(&self) -> [f32; 1] {
        [number(self.scale)]
    }
}

impl Quantize<32> for BlockQ5_0 {
    const BATCH: usize = 16;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 32>], emit: &mut impl FnMut(usize, Option<Self>)) {
        singles::<Whole<LOWEST>>(input, |block, fit| {
            emit(
                block,
                fit.map(|fit| Self {
                    scale: fit.scale.to_le_bytes(),
                    high_bits: planes::pack::<1, 1, 4>(&above::<4, 32>(&fit.indices)),
                    quants: planes::pack::<4, 16, 16>(&fit.indices),
                }),
            );
        });
    }
}

impl Codes<32, 1> for BlockQ5_0 {
    const LEVELS: &'static [i8] = &whole::<32>(LOWEST);

    fn set_levels(&mut self, indices: &[u8; 32]) {
        self.high_bits = planes::pack::<1, 1, 4>(&above::<4, 32>(indices));
        self.quants = planes::pack::<4, 16, 16>(indices);
    }
}
