//! Searches for the scales (and minima) that make the least weighted squared error.
//!
//! The method is the one published with the k-quants (ggml-org/llama.cpp pull request 1684): for a grid of step sizes,
//! round to levels, then solve for the scale that minimises the error with these levels. Where scales are themselves
//! rounded to a few bits, the neighbours of each are tried.

pub(crate) mod affine;
pub(crate) mod signed;

use half::f16;

/// 1.5 * 2^23: adding and subtracting it rounds a small float32 to a whole number, ties to even, without a call.
const TO_WHOLE: f32 = 12_582_912.0;
/// Sums that run side by side, so that additions need not wait for each other.
const LANES: usize = 8;
/// Numbers beyond the largest f16 times 128 sub-scales times 128 levels are in no format's range; below it no square of
/// the search overflows.
const LARGEST: f32 = 65_504.0 * 128.0 * 128.0;

/// Whether numbers are small enough to search.
fn in_range(numbers: &[f32]) -> bool {
    numbers.iter().all(|number| number.abs() <= LARGEST)
}

/// The share of `importance` that belongs to sub-block `sub`.
fn sub_importance<const SUB_LEN: usize>(
    importance: Option<&[f32; 256]>,
    sub: usize,
) -> Option<&[f32; SUB_LEN]> {
    importance.and_then(|importance| importance.as_chunks().0.get(sub))
}

/// What an error in each number costs: large weights matter more to the product than the many near zero. `importance`
/// multiplies it, unless none of these numbers has any.
fn weights<const LEN: usize>(numbers: &[f32; LEN], importance: Option<&[f32; LEN]>) -> [f32; LEN] {
    let square_sum = numbers.iter().map(|number| number * number).sum::<f32>();
    let mean_square = square_sum / f32::from(u16::try_from(LEN).unwrap_or(u16::MAX));
    let level = mean_square.sqrt();
    let mut weights = numbers.map(|number| level + number.abs());
    if let Some(importance) = importance {
        // The most important one counts 1, so that no product overflows.
        let most = importance.iter().fold(0.0_f32, |most, one| most.max(*one));
        if most > 0.0 {
            for (weight, one) in weights.iter_mut().zip(importance) {
                *weight *= one / most;
            }
        }
    }
    weights
}

fn lanes<'a, const LEN: usize>(
    numbers: &'a [f32; LEN],
    weights: &'a [f32; LEN],
) -> impl Iterator<Item = (&'a [f32; LANES], &'a [f32; LANES])> {
    numbers.as_chunks().0.iter().zip(weights.as_chunks().0)
}

/// What turns a number into a level: no division in the inner loop.
fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// `value` as f16, unless it overflows.
pub(crate) fn to_f16(value: f32) -> Option<f16> {
    Some(f16::from_f32(value)).filter(|rounded| rounded.is_finite())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and 0..=63 where it is called"
)]
fn to_u8(whole: f32) -> u8 {
    whole as u8
}

#[cfg(test)]
mod tests {
    use super::weights;

    #[test]
    fn importance_is_relative_and_may_be_nothing() {
        let numbers = [1.0, -2.0, 0.0, 4.0];
        let plain = weights(&numbers, None);
        assert_eq!(weights(&numbers, Some(&[f32::MAX; 4])), plain);
        assert_eq!(weights(&numbers, Some(&[0.0; 4])), plain);
        let half = weights(&numbers, Some(&[1.0, 1.0, 2.0, 2.0]));
        assert_eq!(half, [plain[0] / 2.0, plain[1] / 2.0, plain[2], plain[3]]);
    }
}
