//! Formats without minima: `number = scale * level`, with levels on both sides of zero.

use half::f16;

use super::lanes::{LANES, Lanes, above, group_sum, inverse, replace, to_u8, whole};
use super::{gather, in_range, rounded_to_f16, scatter};
use crate::block::Input;

/// How often the scale is solved for again after the grid.
const SOLVES: usize = 2;
/// How often scale, sub-scales and levels are solved for in turn.
const ROUNDS: usize = 4;

/// The levels of a format, in growing order; blocks store the index of one.
pub(crate) trait Levels {
    /// The lowest level. Formats have one more below zero than above, so that the largest number becomes it.
    const LOWEST: f32;
    /// The highest level: what the largest number becomes with a scale of the other sign.
    const HIGHEST: f32;
    /// Scales tried on either side of those.
    const GRID_SIDE: i8;
    /// The difference between two of them, in the level that the largest number becomes.
    const GRID_STEP: f32;

    /// The level nearest to `number`, as an index and as itself.
    fn nearest(number: f32) -> (f32, f32);
}

/// The whole numbers from `LOWEST` to `-LOWEST - 1`.
pub(crate) struct Whole<const LOWEST: i8>;

impl<const LOWEST: i8> Levels for Whole<LOWEST> {
    const LOWEST: f32 = LOWEST as f32;
    const HIGHEST: f32 = -Self::LOWEST - 1.0;
    const GRID_SIDE: i8 = 9;
    const GRID_STEP: f32 = 0.1;

    #[inline(always)]
    fn nearest(number: f32) -> (f32, f32) {
        let level = whole(number, Self::LOWEST, Self::HIGHEST);
        (level - Self::LOWEST, level)
    }
}

/// 32 numbers with their own scale.
pub(crate) struct Single {
    pub(crate) scale: f16,
    pub(crate) indices: [u8; 32],
}

/// 256 numbers in sub-blocks whose scales are themselves quantized.
pub(crate) struct Super<const SUBS: usize> {
    pub(crate) scale: f16,
    pub(crate) sub_scales: [i8; SUBS],
    pub(crate) indices: [u8; 256],
}

/// Weighted sums over a sub-block with its levels `l` and numbers `x`.
struct Sums {
    lx: Lanes,
    ll: Lanes,
}

/// The nearest block for each of up to 16, or `None` when its scale is beyond the range of f16.
#[inline(always)]
pub(crate) fn singles<L: Levels>(input: &[Input<'_, 32>], mut emit: impl FnMut(usize, Option<Single>)) {
    let batch = gather::<32, 32>(input);
    let valid = in_range::<1, 32>(&batch.numbers);
    let scales = search::<L, 32>(&batch.numbers, &batch.weights).map(f16::from_f32);
    let indices = indices::<L, 32>(&batch.numbers, &scales.map(f16::to_f32));
    for block in 0..input.len() {
        let scale = scales[block];
        let finite = valid[block] && scale.is_finite();
        emit(
            block,
            finite.then(|| Single {
                scale,
                indices: scatter::<32, 32>(&indices, block),
            }),
        );
    }
}

/// The nearest block for each of up to `16 / SUBS`, with sub-scales from `lowest_sub` to `-lowest_sub - 1`, or `None` when its
/// scale is beyond the range of f16.
#[inline(always)]
pub(crate) fn super_blocks<L: Levels, const SUBS: usize, const SUB_LEN: usize>(
    input: &[Input<'_, 256>],
    lowest_sub: i8,
    mut emit: impl FnMut(usize, Option<Super<SUBS>>),
) {
    let batch = gather::<256, SUB_LEN>(input);
    let (numbers, weights) = (&batch.numbers, &batch.weights);
    let valid = in_range::<SUBS, SUB_LEN>(numbers);
    let fit = search::<L, SUB_LEN>(numbers, weights);
    let (unit, subs) = round::<L, SUBS, SUB_LEN>(numbers, weights, fit, f32::from(lowest_sub));
    let indices = indices::<L, SUB_LEN>(numbers, &product(&unit, &subs));
    for block in 0..input.len() {
        let first = block * SUBS;
        let scale = f16::from_f32(unit[first]);
        let finite = valid[first] && scale.is_finite();
        emit(
            block,
            finite.then(|| Super {
                scale,
                sub_scales: std::array::from_fn(|sub| to_i8(subs[first + sub])),
                indices: scatter::<256, SUB_LEN>(&indices, block),
            }),
        );
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "whole and within the limits of sub-scales, which are those of i8"
)]
fn to_i8(whole: f32) -> i8 {
    whole as i8
}

#[inline(always)]
fn product(left: &Lanes, right: &Lanes) -> Lanes {
    let mut out = [0.0; LANES];
    for lane in 0..LANES {
        out[lane] = left[lane] * right[lane];
    }
    out
}

#[inline(always)]
fn indices<L: Levels, const LEN: usize>(numbers: &[Lanes; LEN], scale: &Lanes) -> [[u8; LANES]; LEN] {
    let inverse = inverse(scale);
    let mut out = [[0; LANES]; LEN];
    for (out, numbers) in out.iter_mut().zip(numbers) {
        for lane in 0..LANES {
            out[lane] = to_u8(L::nearest(numbers[lane] * inverse[lane]).0);
        }
    }
    out
}

#[inline(always)]
fn sums<L: Levels, const LEN: usize>(
    numbers: &[Lanes; LEN],
    weights: &[Lanes; LEN],
    inverse: &Lanes,
) -> Sums {
    let (mut lx, mut ll) = ([0.0; LANES], [0.0; LANES]);
    for (numbers, weights) in numbers.iter().zip(weights) {
        for lane in 0..LANES {
            let (_, level) = L::nearest(numbers[lane] * inverse[lane]);
            let weighted = weights[lane] * level;
            lx[lane] += weighted * numbers[lane];
            ll[lane] += weighted * level;
        }
    }
    Sums { lx, ll }
}

/// The scale of least error for these levels; 0 when they are zeros.
#[inline(always)]
fn solve(sums: &Sums) -> Lanes {
    let mut out = [0.0; LANES];
    for lane in 0..LANES {
        out[lane] = if sums.ll[lane] > 0.0 {
            sums.lx[lane] / sums.ll[lane]
        } else {
            0.0
        };
    }
    out
}

/// How much less error `scale` makes with these levels than zeros do.
#[inline(always)]
fn gain(sums: &Sums, scale: &Lanes) -> Lanes {
    let mut out = [0.0; LANES];
    for lane in 0..LANES {
        out[lane] = scale[lane] * (2.0 * sums.lx[lane] - scale[lane] * sums.ll[lane]);
    }
    out
}

#[inline(always)]
fn search<L: Levels, const LEN: usize>(numbers: &[Lanes; LEN], weights: &[Lanes; LEN]) -> Lanes {
    let mut extreme = [0.0_f32; LANES];
    for numbers in numbers {
        for lane in 0..LANES {
            let further = numbers[lane].abs() > extreme[lane].abs();
            extreme[lane] = if further { numbers[lane] } else { extreme[lane] };
        }
    }
    let per_extreme = inverse(&extreme);
    let (mut best, mut most) = ([0.0; LANES], [0.0; LANES]);
    for end in [L::LOWEST, L::HIGHEST] {
        for step in -L::GRID_SIDE..=L::GRID_SIDE {
            let level = end + L::GRID_STEP * f32::from(step);
            let inverse = per_extreme.map(|per| level * per);
            improve::<L, LEN>(numbers, weights, &inverse, &mut best, &mut most);
        }
    }
    for _ in 0..SOLVES {
        let inverse = inverse(&best);
        improve::<L, LEN>(numbers, weights, &inverse, &mut best, &mut most);
    }
    best
}

#[inline(always)]
fn improve<L: Levels, const LEN: usize>(
    numbers: &[Lanes; LEN],
    weights: &[Lanes; LEN],
    inverse: &Lanes,
    best: &mut Lanes,
    most: &mut Lanes,
) {
    let sums = sums::<L, LEN>(numbers, weights, inverse);
    let scale = solve(&sums);
    let gain = gain(&sums, &scale);
    let better = above(&gain, most);
    replace(&better, most, &gain);
    replace(&better, best, &scale);
}

/// Rounds the scales of a block's sub-blocks to whole numbers of a common unit.
#[inline(always)]
fn round<L: Levels, const SUBS: usize, const LEN: usize>(
    numbers: &[Lanes; LEN],
    weights: &[Lanes; LEN],
    mut fit: Lanes,
    lowest_sub: f32,
) -> (Lanes, Lanes) {
    let mut unit = rounded_to_f16(&group_extreme::<SUBS>(&fit).map(|extreme| extreme / lowest_sub));
    let (mut best, mut most) = ((unit, [0.0; LANES]), [f32::NEG_INFINITY; LANES]);
    for _ in 0..ROUNDS {
        // Of the whole numbers around the fit, the best with the levels that each gives.
        let (mut subs, mut gains) = ([0.0; LANES], [f32::NEG_INFINITY; LANES]);
        let mut sums_of = Sums {
            lx: [0.0; LANES],
            ll: [0.0; LANES],
        };
        let per_unit = inverse(&unit);
        for step in [0.0, -1.0, 1.0] {
            let mut tried = [0.0; LANES];
            for lane in 0..LANES {
                tried[lane] = whole(fit[lane] * per_unit[lane] + step, lowest_sub, -lowest_sub - 1.0);
            }
            let scale = product(&unit, &tried);
            let sums = sums::<L, LEN>(numbers, weights, &inverse(&scale));
            let gain = gain(&sums, &scale);
            let better = above(&gain, &gains);
            replace(&better, &mut gains, &gain);
            replace(&better, &mut subs, &tried);
            replace(&better, &mut sums_of.lx, &sums.lx);
            replace(&better, &mut sums_of.ll, &sums.ll);
        }
        let gain = group_sum::<SUBS>(&gains);
        let better = above(&gain, &most);
        replace(&better, &mut most, &gain);
        replace(&better, &mut best.0, &unit);
        replace(&better, &mut best.1, &subs);
        fit = solve(&sums_of);
        refit::<SUBS>(&sums_of, &subs, &mut unit);
    }
    best
}

/// The unit of least error with these levels and sub-scales; as it was where there is none.
#[inline(always)]
fn refit<const SUBS: usize>(sums: &Sums, subs: &Lanes, unit: &mut Lanes) {
    let (mut lx, mut ll) = ([0.0; LANES], [0.0; LANES]);
    for lane in 0..LANES {
        lx[lane] = subs[lane] * sums.lx[lane];
        ll[lane] = subs[lane] * subs[lane] * sums.ll[lane];
    }
    let (lx, ll) = (group_sum::<SUBS>(&lx), group_sum::<SUBS>(&ll));
    let mut solved = [0.0; LANES];
    for lane in 0..LANES {
        solved[lane] = lx[lane] / ll[lane];
    }
    let rounded = rounded_to_f16(&solved);
    for lane in 0..LANES {
        if rounded[lane].is_finite() && rounded[lane] != 0.0 {
            unit[lane] = rounded[lane];
        }
    }
}

/// The first of largest magnitude of each block's lanes.
#[inline(always)]
fn group_extreme<const SUBS: usize>(values: &Lanes) -> Lanes {
    let mut out = [0.0; LANES];
    for (out, values) in out
        .as_chunks_mut::<SUBS>()
        .0
        .iter_mut()
        .zip(values.as_chunks::<SUBS>().0)
    {
        let mut extreme = 0.0_f32;
        for value in values {
            extreme = if value.abs() > extreme.abs() {
                *value
            } else {
                extreme
            };
        }
        *out = [extreme; SUBS];
    }
    out
}
