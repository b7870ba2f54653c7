//! What all blocks have in common: typed views of bytes, and the one formula that gives their numbers.

use bytemuck::Pod;

use crate::{BlockError, BlockFormat};

/// A block of `LEN` numbers in `SUBS` sub-blocks of equal length, as it lies in a file: `number = scale * level - minimum`,
/// with the scale and the minimum of its sub-block.
///
/// Blocks have alignment 1, so that any byte slice can be viewed.
pub trait Block<const LEN: usize, const SUBS: usize>: Pod {
    /// The format that it is a block of.
    const FORMAT: BlockFormat;

    /// The whole numbers that scales multiply, in the order of the numbers.
    fn levels(&self) -> [i8; LEN];

    /// The scale of each sub-block.
    fn scales(&self) -> [f32; SUBS];

    /// What each sub-block subtracts; zeros for formats without.
    fn minima(&self) -> [f32; SUBS] {
        [0.0; SUBS]
    }

    /// Views bytes as blocks.
    ///
    /// # Errors
    /// [`BlockError::PartialBytes`] when they are no whole number of blocks.
    fn from_bytes(bytes: &[u8]) -> Result<&[Self], BlockError> {
        bytemuck::try_cast_slice(bytes).map_err(|_| BlockError::PartialBytes {
            format: Self::FORMAT,
            found: bytes.len(),
        })
    }
}

/// Numbers that become one block.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a, const LEN: usize> {
    /// They are finite.
    pub(crate) numbers: &'a [f32; LEN],
    /// What an error in each costs; all the same when there is none.
    pub(crate) importance: Option<&'a [f32; LEN]>,
}

/// A block that numbers can be quantized to.
pub(crate) trait Quantize<const LEN: usize>: Pod {
    /// Blocks that are made at once, at most 16.
    const BATCH: usize;

    /// Emits the nearest block for each of `input`, at most [`Quantize::BATCH`], by its index: `None` for numbers beyond
    /// the range of the block.
    fn quantize(input: &[Input<'_, LEN>], emit: &mut impl FnMut(usize, Option<Self>));
}

/// Writes the numbers of `blocks`.
pub(crate) fn dequantize<B: Block<LEN, SUBS>, const LEN: usize, const SUBS: usize>(
    bytes: &[u8],
    out: &mut [f32],
) -> Result<(), BlockError> {
    for (block, numbers) in B::from_bytes(bytes)?.iter().zip(out.as_chunks_mut::<LEN>().0) {
        let (levels, scales, minima) = (block.levels(), block.scales(), block.minima());
        let sub_len = LEN / SUBS;
        let subs = numbers
            .chunks_exact_mut(sub_len)
            .zip(levels.chunks_exact(sub_len));
        for ((numbers, levels), (scale, minimum)) in subs.zip(scales.iter().zip(&minima)) {
            for (number, level) in numbers.iter_mut().zip(levels) {
                *number = scale * f32::from(*level) - minimum;
            }
        }
    }
    Ok(())
}

/// Values below 128 as levels.
pub(crate) fn levels<const LEN: usize>(values: [u8; LEN]) -> [i8; LEN] {
    values.map(u8::cast_signed)
}

/// Values as levels that count from `-zero`.
pub(crate) fn centered<const LEN: usize>(values: [u8; LEN], zero: i8) -> [i8; LEN] {
    values.map(|value| value.cast_signed().wrapping_sub(zero))
}

#[cfg(test)]
mod tests {
    use super::Block;
    use crate::BlockQ8_0;

    #[test]
    fn a_view_needs_whole_blocks_and_no_alignment() {
        let bytes = [0_u8; 69];
        assert_eq!(BlockQ8_0::from_bytes(&bytes[1..]).map(<[_]>::len), Ok(2));
        let error = BlockQ8_0::from_bytes(&bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "69 bytes are no whole number of Q8_0 blocks of 34 bytes"
        );
    }
}
