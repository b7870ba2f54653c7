//! Q8_0.

use bytemuck::{Pod, Zeroable};

use super::{number, sized};
use crate::block::{Input, Quantize};
use crate::feedback::{Codes, whole};
use crate::search::to_f16;
use crate::{Block, BlockFormat};

/// 32 numbers: `number = scale * quant` (ggml-common.h, `block_q8_0`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ8_0 {
    /// The scale, a little-endian f16.
    pub scale: [u8; 2],
    /// The quants.
    pub quants: [i8; 32],
}

sized!(BlockQ8_0);

impl BlockQ8_0 {
    /// The scale as f32.
    #[must_use]
    pub fn scale(&self) -> f32 {
        number(self.scale)
    }
}

impl Block<32, 1> for BlockQ8_0 {
    const FORMAT: BlockFormat = BlockFormat::Q8_0;

    fn levels(&self) -> [i8; 32] {
        self.quants
    }

    fn scales(&self) -> [f32; 1] {
        [self.scale()]
    }
}

impl Quantize<32> for BlockQ8_0 {
    const BATCH: usize = 1;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 32>], emit: &mut impl FnMut(usize, Option<Self>)) {
        for (block, one) in input.iter().enumerate() {
            emit(block, Self::nearest(one.numbers));
        }
    }
}

impl Codes<32, 1> for BlockQ8_0 {
    const LEVELS: &'static [i8] = &whole::<255>(-127);

    fn set_levels(&mut self, indices: &[u8; 32]) {
        self.quants = indices.map(|index| i8::from_le_bytes([index]).wrapping_sub(127));
    }
}

impl BlockQ8_0 {
    /// Rounds halves away from zero, as ggml does: files made elsewhere from the same numbers are the same bytes, whatever
    /// the importance.
    #[inline(always)]
    fn nearest(numbers: &[f32; 32]) -> Option<Self> {
        let mut largest = 0.0;
        for number in numbers {
            let size = number.abs();
            largest = if size > largest { size } else { largest };
        }
        let scale = largest / 127.0;
        let stored = to_f16(scale)?;
        // The reciprocal of the unrounded scale, as in ggml.
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        let mut quants = [0; 32];
        for (quant, number) in quants.iter_mut().zip(numbers) {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "at most 127 in magnitude; an infinite inverse saturates"
            )]
            let rounded = (number * inverse).round() as i8;
            *quant = rounded;
        }
        Some(Self {
            scale: stored.to_le_bytes(),
            quants,
        })
    }
}
