//! Formats with minima: `number = scale * level - minimum`, with levels from 0.

use half::f16;

use super::{LANES, TO_WHOLE, in_range, inverse, lanes, sub_importance, to_f16, to_u8, weights};

/// Step sizes tried on either side of the one that spans the sub-block. Beyond 10 the error falls by under 0.1 %.
const GRID_SIDE: i8 = 10;
/// The difference between two step sizes, in levels over the span of the sub-block.
const GRID_STEP: f32 = 0.15;

/// What a sub-block's levels and minimum can be.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    /// The highest level.
    highest: f32,
    /// Whether the minimum may have either sign; otherwise it is not negative.
    either_sign: bool,
}

/// 32 numbers with their own scale and minimum.
pub(crate) struct Single {
    pub(crate) scale: f16,
    pub(crate) minimum: f16,
    pub(crate) levels: [u8; 32],
}

/// 256 numbers in sub-blocks whose scales and minima are themselves quantized.
pub(crate) struct Super<const SUBS: usize> {
    pub(crate) scale: f16,
    pub(crate) minimum: f16,
    pub(crate) sub_scales: [u8; SUBS],
    pub(crate) sub_minima: [u8; SUBS],
    pub(crate) levels: [u8; 256],
}

/// An affine map of levels to numbers, `scale * level - minimum`; the scale is not negative.
#[derive(Clone, Copy)]
struct Affine {
    scale: f32,
    minimum: f32,
}

/// The nearest 32 numbers with levels up to `highest`, or `None` when they are beyond the range of f16.
pub(crate) fn single(numbers: &[f32; 32], importance: Option<&[f32; 32]>, highest: u8) -> Option<Single> {
    let range = Range {
        highest: f32::from(highest),
        either_sign: true,
    };
    if !in_range(numbers) {
        return None;
    }
    let fit = search(numbers, &weights(numbers, importance), range);
    let (scale, minimum) = (to_f16(fit.scale)?, to_f16(fit.minimum)?);
    let stored = Affine {
        scale: scale.to_f32(),
        minimum: minimum.to_f32(),
    };
    Some(Single {
        scale,
        minimum,
        levels: stored.levels(numbers, range),
    })
}

/// The nearest 256 numbers with levels up to `highest` and sub-scales and sub-minima up to `highest_sub`, or `None` when a
/// scale is beyond the range of f16.
pub(crate) fn super_block<const SUBS: usize, const SUB_LEN: usize>(
    numbers: &[f32; 256],
    importance: Option<&[f32; 256]>,
    highest: u8,
    highest_sub: u8,
) -> Option<Super<SUBS>> {
    let range = Range {
        highest: f32::from(highest),
        either_sign: false,
    };
    let highest_sub = f32::from(highest_sub);
    if !in_range(numbers) {
        return None;
    }
    let subs = numbers.as_chunks::<SUB_LEN>().0;
    let mut fits = [Affine::ZERO; SUBS];
    for (index, (fit, sub)) in fits.iter_mut().zip(subs).enumerate() {
        *fit = search(sub, &weights(sub, sub_importance(importance, index)), range);
    }
    let unit_of = |values: [f32; SUBS]| to_f16(values.into_iter().fold(0.0, f32::max) / highest_sub);
    let scale = unit_of(fits.map(|fit| fit.scale))?;
    let minimum = unit_of(fits.map(|fit| fit.minimum))?;
    let units = Affine {
        scale: scale.to_f32(),
        minimum: minimum.to_f32(),
    };
    let mut block = Super {
        scale,
        minimum,
        sub_scales: [0; SUBS],
        sub_minima: [0; SUBS],
        levels: [0; 256],
    };
    let rows = subs.iter().zip(block.levels.as_chunks_mut::<SUB_LEN>().0);
    for (index, (sub, levels)) in rows.enumerate() {
        let weights = weights(sub, sub_importance(importance, index));
        let rounded = round_fit(sub, &weights, fits[index], units, range, highest_sub);
        block.sub_scales[index] = to_u8(rounded.scale);
        block.sub_minima[index] = to_u8(rounded.minimum);
        *levels = units.times(rounded).levels(sub, range);
    }
    Some(block)
}

impl Affine {
    const ZERO: Self = Self {
        scale: 0.0,
        minimum: 0.0,
    };

    fn times(self, other: Self) -> Self {
        Self {
            scale: self.scale * other.scale,
            minimum: self.minimum * other.minimum,
        }
    }

    fn level(self, inverse: f32, number: f32, range: Range) -> f32 {
        ((number + self.minimum) * inverse).clamp(0.0, range.highest) + TO_WHOLE - TO_WHOLE
    }

    fn levels<const LEN: usize>(self, numbers: &[f32; LEN], range: Range) -> [u8; LEN] {
        let inverse = inverse(self.scale);
        numbers.map(|number| to_u8(self.level(inverse, number, range)))
    }

    fn error<const LEN: usize>(self, numbers: &[f32; LEN], weights: &[f32; LEN], range: Range) -> f32 {
        let inverse = inverse(self.scale);
        let mut sums = [0.0; LANES];
        for (numbers, weights) in lanes(numbers, weights) {
            for lane in 0..LANES {
                let level = self.level(inverse, numbers[lane], range);
                let off = self.scale * level - self.minimum - numbers[lane];
                sums[lane] += weights[lane] * off * off;
            }
        }
        sums.iter().sum()
    }
}

fn search<const LEN: usize>(numbers: &[f32; LEN], weights: &[f32; LEN], range: Range) -> Affine {
    let none = if range.either_sign { f32::INFINITY } else { 0.0 };
    let low = numbers.iter().fold(none, |low, number| low.min(*number));
    let high = numbers.iter().fold(f32::MIN, |high, number| high.max(*number));
    let span = high - low;
    let start = |steps: f32| Affine {
        scale: span / steps,
        minimum: -low,
    };
    if span <= 0.0 {
        return start(range.highest);
    }
    let mut best = start(range.highest);
    let mut least = best.error(numbers, weights, range);
    for step in -GRID_SIDE..=GRID_SIDE {
        let steps = range.highest + GRID_STEP * f32::from(step);
        let fit = solve(numbers, weights, start(steps), range);
        let error = fit.error(numbers, weights, range);
        if error < least {
            (best, least) = (fit, error);
        }
    }
    best
}

/// The scale and minimum of least error for the levels that `start` gives.
fn solve<const LEN: usize>(
    numbers: &[f32; LEN],
    weights: &[f32; LEN],
    start: Affine,
    range: Range,
) -> Affine {
    let inverse = inverse(start.scale);
    let mut sums = [[0.0; LANES]; 5];
    for (numbers, weights) in lanes(numbers, weights) {
        for lane in 0..LANES {
            let (number, weight) = (numbers[lane], weights[lane]);
            let level = start.level(inverse, number, range);
            sums[0][lane] += weight;
            sums[1][lane] += weight * level;
            sums[2][lane] += weight * level * level;
            sums[3][lane] += weight * number;
            sums[4][lane] += weight * level * number;
        }
    }
    let [w, wl, wll, wx, wlx] = sums.map(|sums| sums.iter().sum::<f32>());
    let determinant = w * wll - wl * wl;
    if determinant <= 0.0 {
        return start;
    }
    let scale = ((w * wlx - wx * wl) / determinant).max(0.0);
    let minimum = (wl * wlx - wll * wx) / determinant;
    if minimum < 0.0 && !range.either_sign {
        // The format has no negative minimum: the best scale through zero.
        return Affine {
            scale: (wlx / wll).max(0.0),
            minimum: 0.0,
        };
    }
    Affine { scale, minimum }
}

/// The whole sub-scale and sub-minimum, in `units`, of least error around the fit.
fn round_fit<const LEN: usize>(
    numbers: &[f32; LEN],
    weights: &[f32; LEN],
    fit: Affine,
    units: Affine,
    range: Range,
    highest_sub: f32,
) -> Affine {
    let nearest = |value: f32, unit: f32| (value * inverse(unit)).round().clamp(0.0, highest_sub);
    let middle = Affine {
        scale: nearest(fit.scale, units.scale),
        minimum: nearest(fit.minimum, units.minimum),
    };
    let (mut best, mut least) = (middle, f32::INFINITY);
    for scale_step in [0.0, -1.0, 1.0] {
        for minimum_step in [0.0, -1.0, 1.0] {
            let tried = Affine {
                scale: middle.scale + scale_step,
                minimum: middle.minimum + minimum_step,
            };
            let valid = |sub: f32| (0.0..=highest_sub).contains(&sub);
            if !valid(tried.scale) || !valid(tried.minimum) {
                continue;
            }
            let error = units.times(tried).error(numbers, weights, range);
            if error < least {
                (best, least) = (tried, error);
            }
        }
    }
    best
}
