//! Searches for the scales (and minima) that make the least weighted squared error.
//!
//! The method is the one published with the k-quants (ggml-org/llama.cpp pull request 1684): for a grid of step sizes,
//! round to levels, then solve for the scale that minimises the error with these levels. From there scales, sub-scales
//! and levels are solved for in turn, each with the others held, and the best of all that was seen is kept.
//!
//! A lane is one sub-block. All are computed side by side, number by number, so that no sum runs across lanes and every
//! instruction set gives the same bits. Whatever a loop over numbers calls is `#[inline(always)]`: it is compiled with the
//! instructions of the function in `quantize.rs` that it ends up in.

#![expect(clippy::needless_range_loop, reason = "a lane indexes several arrays at once")]

pub(crate) mod affine;
pub(crate) mod lanes;
pub(crate) mod signed;

use half::f16;

use crate::block::Input;
use lanes::{LANES, Lanes, group_max};

/// Numbers beyond the largest f16 times 128 sub-scales times 128 levels are in no format's range; below it no square of
/// the search overflows.
const LARGEST: f32 = 65_504.0 * 128.0 * 128.0;
/// What the least important number counts, the most important one of its block counting 1: sub-blocks without importance
/// still get a scale, and nothing else changes.
const LEAST_WEIGHT: f32 = 1e-6;

/// Sub-blocks side by side: number `i` of the one in lane `l` is `numbers[i][l]`.
struct Batch<const SUB_LEN: usize> {
    numbers: [Lanes; SUB_LEN],
    weights: [Lanes; SUB_LEN],
}

/// Takes blocks of `LEN / SUB_LEN` sub-blocks apart into lanes; lanes beyond the input are zeros.
#[inline(always)]
fn gather<const LEN: usize, const SUB_LEN: usize>(input: &[Input<'_, LEN>]) -> Batch<SUB_LEN> {
    let mut batch = Batch {
        numbers: [[0.0; LANES]; SUB_LEN],
        weights: [[1.0; LANES]; SUB_LEN],
    };
    let subs = LEN / SUB_LEN;
    for (block, one) in input.iter().enumerate() {
        let largest = one.importance.map_or(0.0, largest);
        for (sub, numbers) in one.numbers.as_chunks::<SUB_LEN>().0.iter().enumerate() {
            let lane = block * subs + sub;
            for (index, number) in numbers.iter().enumerate() {
                batch.numbers[index][lane] = *number;
            }
            let importance = one
                .importance
                .and_then(|all| all.as_chunks::<SUB_LEN>().0.get(sub));
            if let Some(importance) = importance.filter(|_| largest > 0.0) {
                for (index, one) in importance.iter().enumerate() {
                    batch.weights[index][lane] = one / largest + LEAST_WEIGHT;
                }
            }
        }
    }
    batch
}

#[inline(always)]
fn largest<const LEN: usize>(values: &[f32; LEN]) -> f32 {
    let mut largest = 0.0;
    for value in values {
        if *value > largest {
            largest = *value;
        }
    }
    largest
}

/// Puts the lanes of block `block` together again.
#[inline(always)]
fn scatter<const LEN: usize, const SUB_LEN: usize>(
    levels: &[[u8; LANES]; SUB_LEN],
    block: usize,
) -> [u8; LEN] {
    let mut out = [0; LEN];
    let subs = LEN / SUB_LEN;
    for (sub, out) in out.as_chunks_mut::<SUB_LEN>().0.iter_mut().enumerate() {
        for (index, out) in out.iter_mut().enumerate() {
            *out = levels[index][block * subs + sub];
        }
    }
    out
}

/// Whether the numbers of each lane's block are small enough to search.
#[inline(always)]
fn in_range<const SUBS: usize, const SUB_LEN: usize>(numbers: &[Lanes; SUB_LEN]) -> [bool; LANES] {
    let mut most = [0.0; LANES];
    for numbers in numbers {
        for lane in 0..LANES {
            let size = numbers[lane].abs();
            most[lane] = if size > most[lane] { size } else { most[lane] };
        }
    }
    group_max::<SUBS>(&most).map(|most| most <= LARGEST)
}

/// `value` as f16, unless it overflows.
pub(crate) fn to_f16(value: f32) -> Option<f16> {
    Some(f16::from_f32(value)).filter(|rounded| rounded.is_finite())
}

/// Each value as a f16 would hold it, infinite when it overflows.
#[inline(always)]
fn rounded_to_f16(values: &Lanes) -> Lanes {
    values.map(|value| f16::from_f32(value).to_f32())
}

#[cfg(test)]
mod tests {
    use super::gather;
    use crate::block::Input;

    #[test]
    fn importance_is_relative_and_may_be_nothing() {
        let numbers = [1.0; 64];
        let weights = |importance: &[f32; 64]| {
            let importance = Some(importance);
            gather::<64, 32>(&[Input {
                numbers: &numbers,
                importance,
            }])
            .weights
        };
        assert_eq!(weights(&[0.0; 64])[0][..2], [1.0, 1.0]);
        assert_eq!(weights(&[f32::MAX; 64])[0][..2], [1.0 + 1e-6, 1.0 + 1e-6]);
        let mut half = [1.0; 64];
        half[32..].fill(2.0);
        assert_eq!(weights(&half)[31][..3], [0.5 + 1e-6, 1.0 + 1e-6, 1.0]);
    }
}
