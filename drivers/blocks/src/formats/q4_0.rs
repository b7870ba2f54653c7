//! Q4_0.

use bytemuck::{Pod, Zeroable};

use super::{number, sized};
use crate::block::{Input, Quantize, centered};
use crate::feedback::{Codes, whole};
use crate::search::signed::{Whole, singles};
use crate::{Block, BlockFormat, planes};

/// The lowest level.
const LOWEST: i8 = -8;

/// 32 numbers: `number = scale * (quant - 8)` (ggml-common.h, `block_q4_0`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ4_0 {
    /// The scale, a little-endian f16.
    pub scale: [u8; 2],
    /// Byte `i` holds quant `i` in its low half and quant `i + 16` in its high half.
    pub quants: [u8; 16],
}

sized!(BlockQ4_0);

impl Block<32, 1> for BlockQ4_0 {
    const FORMAT: BlockFormat = BlockFormat::Q4_0;

    fn levels(&self) -> [i8; 32] {
        centered(planes::unpack::<4, 16, 32>(&self.quants), -LOWEST)
    }

    fn scales(&self) -> [f32; 1] {
        [number(self.scale)]
    }
}

impl Quantize<32> for BlockQ4_0 {
    const BATCH: usize = 16;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 32>], emit: &mut impl FnMut(usize, Option<Self>)) {
        singles::<Whole<LOWEST>>(input, |block, fit| {
            emit(
                block,
                fit.map(|fit| Self {
                    scale: fit.scale.to_le_bytes(),
                    quants: planes::pack::<4, 16, 16>(&fit.indices),
                }),
            );
        });
    }
}

impl Codes<32, 1> for BlockQ4_0 {
    const LEVELS: &'static [i8] = &whole::<16>(LOWEST);

    fn set_levels(&mut self, indices: &[u8; 32]) {
        self.quants = planes::pack::<4, 16, 16>(indices);
    }
}
