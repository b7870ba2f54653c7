//! Keys and values in blocks: quantized in one pass as they come, where weights have time for a search.
//!
//! A cache in Q8_0 keeps numbers as they are. One in Q4_0 keeps them rotated: outliers of single channels, which keys are
//! known for, are spread over all numbers of a group and cost all of them little instead of their own block everything
//! (arXiv 2404.00456). The rotation is its own inverse and keeps products: queries are rotated instead of keys being
//! rotated back, and sums of values are rotated once.

use half::f16;

use crate::{BlockQ4_0, BlockQ8_0};

/// Numbers of a block of a cache.
pub const CACHE_BLOCK: usize = 32;
/// The most numbers that are rotated together: beyond a head of common size there is nothing to spread over.
const MOST_ROTATED: usize = 128;
/// Added and taken off again, it leaves a number below 2^22 rounded to a whole one, ties to even: 1.5 * 2^23.
const ROUND: f32 = 12_582_912.0;
/// Shares of the largest number that the scale of Q4_0 is tried for. Rotated numbers are nearly normal: clipping the
/// largest of 32 a little makes the others finer.
const CLIPS: [f32; 4] = [1.0, 0.92, 0.84, 0.76];

/// How many numbers of a head of `width` are rotated together: the largest power of two that divides it, at most 128.
#[must_use]
pub const fn rotated_together(width: usize) -> usize {
    if width == 0 {
        return 1;
    }
    let power = 1 << width.trailing_zeros();
    if power > MOST_ROTATED { MOST_ROTATED } else { power }
}

/// Rotates each group of `size` numbers, a power of two, by the Hadamard matrix of that size over its root. The same
/// again undoes it but for rounding. The order of additions is fixed: all drivers get the same bits.
pub fn rotate(numbers: &mut [f32], size: usize) {
    #[expect(clippy::cast_precision_loss, reason = "at most 128")]
    let factor = 1.0 / (size as f32).sqrt();
    for group in numbers.chunks_exact_mut(size) {
        let mut half = 1;
        while half < size {
            for pair in group.chunks_exact_mut(2 * half) {
                let (first, second) = pair.split_at_mut(half);
                for (a, b) in first.iter_mut().zip(second) {
                    (*a, *b) = (*a + *b, *a - *b);
                }
            }
            half *= 2;
        }
        for number in group {
            *number *= factor;
        }
    }
}

impl BlockQ8_0 {
    /// The nearest block by the largest magnitude. A NaN or a number beyond the format makes the block NaN or its largest.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low byte of a rounded number is its quant"
    )]
    pub fn cached(numbers: &[f32; CACHE_BLOCK]) -> Self {
        let scale = kept(magnitude(numbers) / 127.0);
        let inverse = inverse(scale);
        Self {
            scale: scale.to_le_bytes(),
            quants: numbers.map(|number| ((number * inverse).clamp(-127.0, 127.0) + ROUND).to_bits() as i8),
        }
    }
}

impl BlockQ4_0 {
    /// The block of least squared error among a few scales. A NaN or a number beyond the format makes the block NaN or its
    /// largest.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low byte of a rounded number is its level, plus 8"
    )]
    pub fn cached(numbers: &[f32; CACHE_BLOCK]) -> Self {
        // The lowest level is -8, the highest 7: the number of largest magnitude gets the lowest.
        let mut largest = 0.0_f32;
        for number in numbers {
            largest = if number.abs() > largest.abs() {
                *number
            } else {
                largest
            };
        }
        if magnitude(numbers).is_nan() {
            largest = f32::NAN;
        }
        let (mut best, mut least) = (kept(largest / -8.0), f32::INFINITY);
        for clip in CLIPS {
            let scale = kept(largest * clip / -8.0);
            let (factor, inverse) = (scale.to_f32(), inverse(scale));
            let mut error = 0.0;
            for number in numbers {
                let level = (number * inverse).clamp(-8.0, 7.0) + ROUND - ROUND;
                let off = level * factor - number;
                error += off * off;
            }
            if error < least {
                (best, least) = (scale, error);
            }
        }
        let inverse = inverse(best);
        let level =
            |number: f32| ((number * inverse).clamp(-8.0, 7.0) + (ROUND + 8.0)).to_bits() as u8 & 0x0f;
        Self {
            scale: best.to_le_bytes(),
            quants: std::array::from_fn(|at| level(numbers[at]) | level(numbers[at + CACHE_BLOCK / 2]) << 4),
        }
    }
}

/// The largest magnitude; NaN when there is one.
fn magnitude(numbers: &[f32; CACHE_BLOCK]) -> f32 {
    // Without their signs, numbers are in the order of their bits, and a NaN is above all.
    let bits = numbers
        .iter()
        .fold(0, |most, number| most.max(number.to_bits() & 0x7fff_ffff));
    f32::from_bits(bits)
}

/// A scale as it is kept: the format's largest rather than an infinity.
fn kept(scale: f32) -> f16 {
    let stored = f16::from_f32(scale);
    if stored.is_infinite() {
        f16::MAX.copysign(stored)
    } else {
        stored
    }
}

/// What numbers are multiplied by; 0 when the scale is.
fn inverse(scale: f16) -> f32 {
    if scale == f16::ZERO {
        0.0
    } else {
        1.0 / scale.to_f32()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CACHE_BLOCK, rotate, rotated_together};
    use crate::{Block, BlockQ4_0, BlockQ8_0};

    fn numbers() -> impl Strategy<Value = [f32; 32]> {
        proptest::array::uniform32(-100.0_f32..100.0)
    }

    fn read<const SUBS: usize>(block: &impl Block<32, SUBS>) -> [f32; 32] {
        let (levels, scale) = (block.levels(), block.scales()[0]);
        levels.map(|level| scale * f32::from(level))
    }

    fn error(block: &[f32; 32], numbers: &[f32; 32]) -> f32 {
        let off = block.iter().zip(numbers).map(|(a, b)| (a - b).abs());
        off.fold(0.0, f32::max)
    }

    #[test]
    fn groups_are_the_largest_powers_of_two_of_a_head() {
        assert_eq!(
            [64, 96, 576, 256, 80, 0].map(rotated_together),
            [64, 32, 64, 128, 16, 1]
        );
    }

    proptest! {
        #[test]
        fn rotating_twice_gives_back_and_products_stay(a in numbers(), b in numbers()) {
            let product = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            let (mut x, mut y) = (a, b);
            rotate(&mut x, CACHE_BLOCK);
            rotate(&mut y, CACHE_BLOCK);
            prop_assert!((product(&x, &y) - product(&a, &b)).abs() < 1.0);
            rotate(&mut x, CACHE_BLOCK);
            prop_assert!(error(&x, &a) < 1e-3);
        }

        #[test]
        fn blocks_are_near(numbers in numbers()) {
            let largest = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
            // Half a step, and what rounding the scale to a float16 adds at the end of the range.
            prop_assert!(error(&read(&BlockQ8_0::cached(&numbers)), &numbers) <= largest / 127.0 * 0.6);
            // A step at the end that has no level of its own, or the most that is clipped.
            prop_assert!(error(&read(&BlockQ4_0::cached(&numbers)), &numbers) <= largest * 0.25);
        }
    }

    #[test]
    fn zeros_are_zeros_and_what_is_beyond_the_format_is_its_largest() {
        assert_eq!(read(&BlockQ8_0::cached(&[0.0; 32])), [0.0; 32]);
        assert_eq!(read(&BlockQ4_0::cached(&[0.0; 32])), [0.0; 32]);
        let mut numbers = [1.0; 32];
        numbers[9] = f32::NAN;
        assert!(
            read(&BlockQ8_0::cached(&numbers))
                .iter()
                .any(|number| number.is_nan())
        );
        assert!(
            read(&BlockQ4_0::cached(&numbers))
                .iter()
                .any(|number| number.is_nan())
        );
        let most = read(&BlockQ8_0::cached(&[f32::MAX; 32]));
        assert!(most.iter().all(|number| *number > 8e6 && number.is_finite()));
        assert!(
            read(&BlockQ4_0::cached(&[f32::MAX; 32]))
                .iter()
                .all(|number| number.is_finite())
        );
    }
}
