//! MXFP4.

use bytemuck::{Pod, Zeroable};

use super::sized;
use crate::block::{Input, Quantize};
use crate::feedback::Codes;
use crate::{Block, BlockFormat, planes};

/// Twice the magnitudes of E2M1, so that they are whole.
const MAGNITUDES: [i8; 8] = [0, 1, 2, 3, 4, 6, 8, 12];
/// Halfway between each magnitude and the next.
const BORDERS: [f32; 7] = [0.5, 1.5, 2.5, 3.5, 5.0, 7.0, 10.0];
/// The levels, growing, and the index of zero.
const LEVELS: [i8; 15] = [-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12];
const ZERO: u8 = 7;
/// The sign of a 4-bit float.
const SIGN: u8 = 8;
/// The largest exponent whose largest level, 1.5 * 2^127, is a float32.
const MAX_EXPONENT: u8 = 252;

/// 32 numbers: `number = 2^(exponent - 128) * level(float)`, where levels are twice the values of the 4-bit floats
/// (ggml-common.h, `block_mxfp4`; Open Compute Project, Microscaling Formats 1.0, sections 5.3.3 and 5.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockMxfp4 {
    /// The exponent of the scale (E8M0), with the bias 127. 255 reads as a power of two too, as in ggml.
    pub exponent: u8,
    /// Byte `i` holds float `i` in its low half and float `i + 16` in its high half.
    pub floats: [u8; 16],
}

sized!(BlockMxfp4);

impl Block<32, 1> for BlockMxfp4 {
    const FORMAT: BlockFormat = BlockFormat::MXFP4;

    fn levels(&self) -> [i8; 32] {
        planes::unpack::<4, 16, 32>(&self.floats).map(|float| {
            let magnitude = MAGNITUDES[usize::from(float % SIGN)];
            if float & SIGN == 0 { magnitude } else { -magnitude }
        })
    }

    fn scales(&self) -> [f32; 1] {
        [half_scale(self.exponent)]
    }
}

impl Quantize<32> for BlockMxfp4 {
    const BATCH: usize = 1;

    #[inline(always)]
    fn quantize(input: &[Input<'_, 32>], emit: &mut impl FnMut(usize, Option<Self>)) {
        for (block, one) in input.iter().enumerate() {
            emit(block, Self::nearest(one.numbers, one.importance));
        }
    }
}

impl Codes<32, 1> for BlockMxfp4 {
    const LEVELS: &'static [i8] = &LEVELS;

    fn set_levels(&mut self, indices: &[u8; 32]) {
        let float = |index: u8| {
            let magnitude = index.abs_diff(ZERO);
            if index < ZERO { magnitude | SIGN } else { magnitude }
        };
        self.floats = planes::pack::<4, 16, 16>(&indices.map(float));
    }
}

impl BlockMxfp4 {
    /// Tries the exponent that the largest number asks for and its neighbours: the lower one clips it and is finer.
    fn nearest(numbers: &[f32; 32], importance: Option<&[f32; 32]>) -> Option<Self> {
        let largest = numbers
            .iter()
            .fold(0.0_f32, |largest, number| largest.max(number.abs()));
        // The biased exponent of a float32 is the one of its power of two; the largest 4-bit float is 1.5 * 2^2.
        let exponent = u8::try_from(largest.to_bits() >> 23).ok()?.saturating_sub(2);
        let (mut best, mut least) = (exponent, f32::INFINITY);
        for tried in exponent.saturating_sub(1)..=exponent.saturating_add(1).min(MAX_EXPONENT) {
            let error = error(numbers, importance, half_scale(tried), half_scale(exponent));
            if error < least {
                (best, least) = (tried, error);
            }
        }
        let scale = half_scale(best);
        Some(Self {
            exponent: best,
            floats: planes::pack::<4, 16, 16>(&numbers.map(|number| nearest(number / scale))),
        })
    }
}

/// Half of the scale that `exponent` stands for: 2^(exponent - 128), which may be subnormal.
fn half_scale(exponent: u8) -> f32 {
    let bits = match exponent {
        0 | 1 => 0x0020_0000 << exponent,
        _ => u32::from(exponent - 1) << 23,
    };
    f32::from_bits(bits)
}

/// The 4-bit float of the level nearest to `number`.
fn nearest(number: f32) -> u8 {
    let passed = BORDERS.iter().filter(|border| number.abs() > **border).count();
    let magnitude = u8::try_from(passed).unwrap_or(SIGN - 1);
    // There is no use for a negative zero.
    if number < 0.0 && magnitude > 0 {
        magnitude | SIGN
    } else {
        magnitude
    }
}

/// The weighted squared error with `scale`, in `unit`: in numbers' own unit it could overflow.
fn error(numbers: &[f32; 32], importance: Option<&[f32; 32]>, scale: f32, unit: f32) -> f32 {
    let most = importance.map_or(0.0, |importance| {
        importance.iter().fold(0.0_f32, |most, one| most.max(*one))
    });
    let mut sum = 0.0;
    for (index, number) in numbers.iter().enumerate() {
        let level = f32::from(MAGNITUDES[usize::from(nearest(*number / scale) % SIGN)]);
        let off = (level * (scale / unit)) - number.abs() / unit;
        let weight = match importance {
            Some(importance) if most > 0.0 => importance[index] / most,
            _ => 1.0,
        };
        sum += weight * off * off;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::half_scale;

    #[test]
    fn exponents_are_powers_of_two_down_to_subnormal() {
        for exponent in 1..=u8::MAX {
            assert!(
                half_scale(exponent) == 2.0 * half_scale(exponent - 1),
                "{exponent}"
            );
        }
        assert_eq!(half_scale(128), 1.0);
    }
}
