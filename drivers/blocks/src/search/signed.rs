//! Formats without minima: `number = scale * level`, with levels on both sides of zero.

use half::f16;

use super::{LANES, TO_WHOLE, in_range, inverse, lanes, sub_importance, to_f16, to_u8, weights};

/// Scales tried on either side of the one that makes the largest number the lowest level.
const GRID_SIDE: i8 = 9;

/// The levels of a format, in growing order; blocks store the index of one.
pub(crate) trait Levels {
    /// The lowest level. Formats have one more below zero than above, so that the largest number becomes it.
    const LOWEST: f32;
    /// The difference between two scales that are tried, in the lowest level.
    const GRID_STEP: f32;

    /// The level nearest to `number`, as an index and as itself.
    fn nearest(number: f32) -> (f32, f32);
}

/// The whole numbers from `LOWEST` to `-LOWEST - 1`.
pub(crate) struct Whole<const LOWEST: i8>;

impl<const LOWEST: i8> Levels for Whole<LOWEST> {
    const LOWEST: f32 = LOWEST as f32;
    const GRID_STEP: f32 = 0.1;

    #[inline]
    fn nearest(number: f32) -> (f32, f32) {
        let level = number.clamp(Self::LOWEST, -Self::LOWEST - 1.0) + TO_WHOLE - TO_WHOLE;
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

/// The nearest 32 numbers, or `None` when the scale is beyond the range of f16.
pub(crate) fn single<L: Levels>(numbers: &[f32; 32], importance: Option<&[f32; 32]>) -> Option<Single> {
    if !in_range(numbers) {
        return None;
    }
    let scale = to_f16(search::<L, 32>(numbers, &weights(numbers, importance)))?;
    Some(Single {
        scale,
        indices: indices::<L, 32>(numbers, scale.to_f32()),
    })
}

/// The nearest 256 numbers with sub-scales from `lowest_sub` to `-lowest_sub - 1`, or `None` when the scale is beyond the
/// range of f16.
pub(crate) fn super_block<L: Levels, const SUBS: usize, const SUB_LEN: usize>(
    numbers: &[f32; 256],
    importance: Option<&[f32; 256]>,
    lowest_sub: i8,
) -> Option<Super<SUBS>> {
    if !in_range(numbers) {
        return None;
    }
    let subs = numbers.as_chunks::<SUB_LEN>().0;
    let mut fits = [0.0_f32; SUBS];
    for (index, (fit, sub)) in fits.iter_mut().zip(subs).enumerate() {
        *fit = search::<L, SUB_LEN>(sub, &weights(sub, sub_importance(importance, index)));
    }
    let scale = to_f16(extreme(&fits) / f32::from(lowest_sub))?;
    let mut block = Super {
        scale,
        sub_scales: [0; SUBS],
        indices: [0; 256],
    };
    let rows = subs.iter().zip(block.indices.as_chunks_mut::<SUB_LEN>().0);
    for (index, (sub, indices_of)) in rows.enumerate() {
        let weights = weights(sub, sub_importance(importance, index));
        let sub_scale = round_scale::<L, SUB_LEN>(sub, &weights, fits[index], scale.to_f32(), lowest_sub);
        block.sub_scales[index] = sub_scale;
        *indices_of = indices::<L, SUB_LEN>(sub, scale.to_f32() * f32::from(sub_scale));
    }
    Some(block)
}

/// The first number of largest magnitude.
fn extreme(numbers: &[f32]) -> f32 {
    let further = |most: f32, number: &f32| if number.abs() > most.abs() { *number } else { most };
    numbers.iter().fold(0.0, further)
}

fn indices<L: Levels, const LEN: usize>(numbers: &[f32; LEN], scale: f32) -> [u8; LEN] {
    let inverse = inverse(scale);
    numbers.map(|number| to_u8(L::nearest(number * inverse).0))
}

fn search<L: Levels, const LEN: usize>(numbers: &[f32; LEN], weights: &[f32; LEN]) -> f32 {
    let extreme = extreme(numbers);
    if extreme == 0.0 {
        return 0.0;
    }
    let (mut best, mut most) = (extreme / L::LOWEST, 0.0);
    for step in -GRID_SIDE..=GRID_SIDE {
        let inverse = (L::LOWEST + L::GRID_STEP * f32::from(step)) / extreme;
        let (scale, gain) = solve::<L, LEN>(numbers, weights, inverse);
        if gain > most {
            (best, most) = (scale, gain);
        }
    }
    // Once more with the levels that the best scale itself gives.
    let (scale, gain) = solve::<L, LEN>(numbers, weights, inverse(best));
    if gain > most { scale } else { best }
}

/// The scale of least error for the levels that `inverse` gives, and how much less error it makes than zeros do.
fn solve<L: Levels, const LEN: usize>(
    numbers: &[f32; LEN],
    weights: &[f32; LEN],
    inverse: f32,
) -> (f32, f32) {
    let mut sums = [[0.0; LANES]; 2];
    for (numbers, weights) in lanes(numbers, weights) {
        for lane in 0..LANES {
            let (_, level) = L::nearest(numbers[lane] * inverse);
            sums[0][lane] += weights[lane] * level * numbers[lane];
            sums[1][lane] += weights[lane] * level * level;
        }
    }
    let [lx, ll] = sums.map(|sums| sums.iter().sum::<f32>());
    if ll > 0.0 {
        (lx / ll, lx * lx / ll)
    } else {
        (0.0, 0.0)
    }
}

/// The whole sub-scale, in `unit`, of least error around the fit.
fn round_scale<L: Levels, const LEN: usize>(
    numbers: &[f32; LEN],
    weights: &[f32; LEN],
    fit: f32,
    unit: f32,
    lowest: i8,
) -> i8 {
    let limits = f32::from(lowest)..=-f32::from(lowest) - 1.0;
    let nearest = (fit * inverse(unit))
        .round()
        .clamp(*limits.start(), *limits.end());
    let (mut best, mut least) = (nearest, f32::INFINITY);
    for tried in [nearest, nearest - 1.0, nearest + 1.0] {
        if !limits.contains(&tried) {
            continue;
        }
        let error = error::<L, LEN>(numbers, weights, unit * tried);
        if error < least {
            (best, least) = (tried, error);
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and within the limits, which are those of i8"
    )]
    let sub_scale = best as i8;
    sub_scale
}

fn error<L: Levels, const LEN: usize>(numbers: &[f32; LEN], weights: &[f32; LEN], scale: f32) -> f32 {
    let inverse = inverse(scale);
    let mut sums = [0.0; LANES];
    for (numbers, weights) in lanes(numbers, weights) {
        for lane in 0..LANES {
            let off = scale * L::nearest(numbers[lane] * inverse).1 - numbers[lane];
            sums[lane] += weights[lane] * off * off;
        }
    }
    sums.iter().sum()
}
