//! IQ4_NL.

use bytemuck::{Pod, Zeroable};

use super::{iq4, number, sized};
use crate::block::{Input, Quantize};
use crate::feedback::Codes;
use crate::search::signed::singles;
use crate::{Block, BlockFormat, planes};

/// 32 numbers: `number = scale * level(index)` with 16 uneven levels (ggml-common.h, `block_iq4_nl`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockIq4Nl {
    /// The scale, a little-endian f16.
    pub scale: [u8; 2],
    /// Byte `i` holds index `i` in its low half and index `i + 16` in its high half.
    pub indices: [u8; 16],
}

sized!(BlockIq4Nl);

impl Block<32, 1> for BlockIq4Nl {
    const FORMAT: BlockFormat = BlockFormat::IQ4_NL;

    fn levels(&self) -> [i8; 32] {
        iq4::at(planes::unpack::<4, 16, 32>(&self.indices))
    }

    fn scales(&self) -> [f32; 1] {
        [number(self.scale)]
    }
}

impl Quantize<32> for BlockIq4Nl {
    const BATCH: usize = 16;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 32>], emit: &mut impl FnMut(usize, Option<Self>)) {
        singles::<iq4::Table>(input, |block, fit| {
            emit(
                block,
                fit.map(|fit| Self {
                    scale: fit.scale.to_le_bytes(),
                    indices: planes::pack::<4, 16, 16>(&fit.indices),
                }),
            );
        });
    }
}

impl Codes<32, 1> for BlockIq4Nl {
    const LEVELS: &'static [i8] = &iq4::LEVELS;

    fn set_levels(&mut self, indices: &[u8; 32]) {
        self.indices = planes::pack::<4, 16, 16>(indices);
    }
}
