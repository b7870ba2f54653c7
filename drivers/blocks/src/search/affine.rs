//! Formats with minima: `number = scale * level - minimum`, with levels from 0.

use half::f16;

use super::lanes::{LANES, Lanes, above, group_max, group_sum, inverse, replace, to_u8, whole};
use super::{gather, in_range, rounded_to_f16, scatter};
use crate::block::Input;

/// Where the lowest level is tried, as shares of the span above the lowest number: clipping a few numbers below it serves the
/// others. Without the last two the weighted error is 2 % (Q4_K) to 4 % (Q2_K) higher.
const CLIPPED: [f32; 3] = [0.0, 0.04, 0.1];
/// How often scale and minimum are solved for again after the grid.
const SOLVES: usize = 2;

/// What levels can be, and how hard to search.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    /// The highest level.
    pub(crate) highest: f32,
    /// The highest sub-scale and sub-minimum; unused without sub-blocks.
    pub(crate) highest_sub: f32,
    /// Step sizes tried on either side of the one that spans the sub-block: enough that more lower the error by under 0.3 %.
    pub(crate) grid_side: i8,
    /// The difference between two of them, in levels over the span of the sub-block.
    pub(crate) grid_step: f32,
    /// How often scales, sub-scales and levels are solved for in turn.
    pub(crate) rounds: usize,
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

/// Sub-blocks, shifted so that the lowest number of each is 0: sums then lose nothing to an offset.
struct Shifted<const LEN: usize> {
    numbers: [Lanes; LEN],
    weights: [Lanes; LEN],
    /// The lowest number; not above 0 where minima can not be negative.
    low: Lanes,
    span: Lanes,
    /// The least minimum of shifted numbers.
    least: Lanes,
    sum_w: Lanes,
    sum_wx: Lanes,
}

/// `scale * level - minimum` gives shifted numbers; the scale is not negative.
#[derive(Clone, Copy)]
struct Fit {
    scale: Lanes,
    minimum: Lanes,
}

/// Weighted sums over a sub-block with its levels `l` and shifted numbers `x`.
struct Sums {
    wl: Lanes,
    wll: Lanes,
    wlx: Lanes,
}

/// The nearest block for each of up to 16, or `None` when its scale is beyond the range of f16.
#[inline(always)]
pub(crate) fn singles(input: &[Input<'_, 32>], format: Format, mut emit: impl FnMut(usize, Option<Single>)) {
    let batch = gather::<32, 32>(input);
    let valid = in_range::<1, 32>(&batch.numbers);
    let of = shift(batch.numbers, batch.weights, true);
    let fit = search(&of, &format);
    let scales = fit.scale.map(f16::from_f32);
    let mut minima = [f16::ZERO; LANES];
    for lane in 0..LANES {
        minima[lane] = f16::from_f32(fit.minimum[lane] - of.low[lane]);
    }
    let mut stored = Fit {
        scale: scales.map(f16::to_f32),
        minimum: minima.map(f16::to_f32),
    };
    for lane in 0..LANES {
        stored.minimum[lane] += of.low[lane];
    }
    let levels = levels(&of, &stored, format.highest);
    for block in 0..input.len() {
        let (scale, minimum) = (scales[block], minima[block]);
        let finite = valid[block] && scale.is_finite() && minimum.is_finite();
        emit(
            block,
            finite.then(|| Single {
                scale,
                minimum,
                levels: scatter::<32, 32>(&levels, block),
            }),
        );
    }
}

/// The nearest block for each of up to `16 / SUBS`, or `None` when its scale is beyond the range of f16.
#[inline(always)]
pub(crate) fn super_blocks<const SUBS: usize, const SUB_LEN: usize>(
    input: &[Input<'_, 256>],
    format: Format,
    mut emit: impl FnMut(usize, Option<Super<SUBS>>),
) {
    let batch = gather::<256, SUB_LEN>(input);
    let valid = in_range::<SUBS, SUB_LEN>(&batch.numbers);
    let of = shift(batch.numbers, batch.weights, false);
    let fit = search(&of, &format);
    let best = round::<SUBS, SUB_LEN>(&of, fit, &format);
    let levels = levels(&of, &best.fit(&of.low), format.highest);
    for block in 0..input.len() {
        let first = block * SUBS;
        let (scale, minimum) = (
            f16::from_f32(best.unit.scale[first]),
            f16::from_f32(best.unit.minimum[first]),
        );
        let finite = valid[first] && scale.is_finite() && minimum.is_finite();
        let subs = |values: &Lanes| std::array::from_fn(|sub| to_u8(values[first + sub]));
        emit(
            block,
            finite.then(|| Super {
                scale,
                minimum,
                sub_scales: subs(&best.subs.scale),
                sub_minima: subs(&best.subs.minimum),
                levels: scatter::<256, SUB_LEN>(&levels, block),
            }),
        );
    }
}

#[inline(always)]
fn shift<const LEN: usize>(
    mut numbers: [Lanes; LEN],
    weights: [Lanes; LEN],
    either_sign: bool,
) -> Shifted<LEN> {
    let mut low = if either_sign { numbers[0] } else { [0.0; LANES] };
    let mut high = numbers[0];
    let (mut sum_w, mut sum_wx) = ([0.0; LANES], [0.0; LANES]);
    for numbers in &numbers {
        for lane in 0..LANES {
            let number = numbers[lane];
            low[lane] = if number < low[lane] { number } else { low[lane] };
            high[lane] = if number > high[lane] { number } else { high[lane] };
        }
    }
    for (numbers, weights) in numbers.iter_mut().zip(&weights) {
        for lane in 0..LANES {
            numbers[lane] -= low[lane];
            sum_w[lane] += weights[lane];
            sum_wx[lane] += weights[lane] * numbers[lane];
        }
    }
    let mut span = [0.0; LANES];
    for lane in 0..LANES {
        span[lane] = high[lane] - low[lane];
    }
    Shifted {
        numbers,
        weights,
        low,
        span,
        least: if either_sign {
            [f32::NEG_INFINITY; LANES]
        } else {
            low
        },
        sum_w,
        sum_wx,
    }
}

#[inline(always)]
fn sums<const LEN: usize>(of: &Shifted<LEN>, fit: &Fit, highest: f32) -> Sums {
    let inverse = inverse(&fit.scale);
    let (mut wl, mut wll, mut wlx) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for (numbers, weights) in of.numbers.iter().zip(&of.weights) {
        for lane in 0..LANES {
            let number = numbers[lane];
            let level = whole((number + fit.minimum[lane]) * inverse[lane], 0.0, highest);
            let weighted = weights[lane] * level;
            wl[lane] += weighted;
            wll[lane] += weighted * level;
            wlx[lane] += weighted * number;
        }
    }
    Sums { wl, wll, wlx }
}

#[inline(always)]
fn levels<const LEN: usize>(of: &Shifted<LEN>, fit: &Fit, highest: f32) -> [[u8; LANES]; LEN] {
    let inverse = inverse(&fit.scale);
    let mut out = [[0; LANES]; LEN];
    for (out, numbers) in out.iter_mut().zip(&of.numbers) {
        for lane in 0..LANES {
            out[lane] = to_u8(whole(
                (numbers[lane] + fit.minimum[lane]) * inverse[lane],
                0.0,
                highest,
            ));
        }
    }
    out
}

/// How much less error `fit` makes with these levels than zeros do.
#[inline(always)]
fn gain<const LEN: usize>(of: &Shifted<LEN>, sums: &Sums, fit: &Fit) -> Lanes {
    let mut out = [0.0; LANES];
    for lane in 0..LANES {
        let (scale, minimum) = (fit.scale[lane], fit.minimum[lane]);
        let linear = scale * sums.wlx[lane] - minimum * of.sum_wx[lane];
        let squares = scale * (scale * sums.wll[lane] - 2.0 * minimum * sums.wl[lane])
            + minimum * minimum * of.sum_w[lane];
        out[lane] = 2.0 * linear - squares;
    }
    out
}

/// The fit of least error for these levels; NaN or infinite when they are all the same.
#[inline(always)]
fn solve<const LEN: usize>(of: &Shifted<LEN>, sums: &Sums) -> Fit {
    let mut fit = Fit {
        scale: [0.0; LANES],
        minimum: [0.0; LANES],
    };
    for lane in 0..LANES {
        let (w, wx) = (of.sum_w[lane], of.sum_wx[lane]);
        let (wl, wll, wlx) = (sums.wl[lane], sums.wll[lane], sums.wlx[lane]);
        let determinant = w * wll - wl * wl;
        let scale = (w * wlx - wx * wl) / determinant;
        let minimum = (wl * wlx - wll * wx) / determinant;
        // Where the format has no such minimum: the best scale with the nearest one.
        let least = of.least[lane];
        let held = (wlx + least * wl) / wll;
        let is_held = minimum < least;
        fit.scale[lane] = if is_held { held } else { scale };
        fit.minimum[lane] = if is_held { least } else { minimum };
    }
    fit
}

#[inline(always)]
fn search<const LEN: usize>(of: &Shifted<LEN>, format: &Format) -> Fit {
    let start = |steps: f32, clipped: f32| Fit {
        scale: of.span.map(|span| span / steps),
        minimum: of.span.map(|span| -clipped * span),
    };
    let mut best = start(format.highest, 0.0);
    let mut most = [0.0; LANES];
    for step in -format.grid_side..=format.grid_side {
        let steps = format.highest + format.grid_step * f32::from(step);
        for clipped in CLIPPED {
            improve(of, &start(steps, clipped), format, &mut best, &mut most);
        }
    }
    for _ in 0..SOLVES {
        let tried = best;
        improve(of, &tried, format, &mut best, &mut most);
    }
    best
}

/// Solves for the levels of `tried`, and keeps the result where it is better.
#[inline(always)]
fn improve<const LEN: usize>(
    of: &Shifted<LEN>,
    tried: &Fit,
    format: &Format,
    best: &mut Fit,
    most: &mut Lanes,
) {
    let sums = sums(of, tried, format.highest);
    let fit = solve(of, &sums);
    let gain = gain(of, &sums, &fit);
    let mut better = above(&gain, most);
    for lane in 0..LANES {
        better[lane] &= fit.scale[lane] >= 0.0;
    }
    replace(&better, most, &gain);
    replace(&better, &mut best.scale, &fit.scale);
    replace(&better, &mut best.minimum, &fit.minimum);
}

/// The units of a block's sub-scales and sub-minima, and these whole numbers.
#[derive(Clone, Copy)]
struct Rounded {
    unit: Fit,
    subs: Fit,
}

impl Rounded {
    /// As a fit of shifted numbers.
    #[inline(always)]
    fn fit(&self, low: &Lanes) -> Fit {
        let mut fit = self.unit;
        for lane in 0..LANES {
            fit.scale[lane] *= self.subs.scale[lane];
            fit.minimum[lane] = fit.minimum[lane] * self.subs.minimum[lane] + low[lane];
        }
        fit
    }
}

/// Rounds the fits of a block's sub-blocks to whole numbers of common units.
#[inline(always)]
fn round<const SUBS: usize, const LEN: usize>(of: &Shifted<LEN>, fit: Fit, format: &Format) -> Rounded {
    let mut fit = fit;
    let mut unshifted = fit.minimum;
    for lane in 0..LANES {
        unshifted[lane] -= of.low[lane];
    }
    let unit_of =
        |values: &Lanes| rounded_to_f16(&group_max::<SUBS>(values).map(|most| most / format.highest_sub));
    let mut tried = Rounded {
        unit: Fit {
            scale: unit_of(&fit.scale),
            minimum: unit_of(&unshifted),
        },
        subs: fit,
    };
    let mut sums_of = sums(of, &fit, format.highest);
    let (mut best, mut most) = (tried, [f32::NEG_INFINITY; LANES]);
    for _ in 0..format.rounds {
        tried.subs = nearest(of, &sums_of, &fit, &tried.unit, format.highest_sub);
        let stored = tried.fit(&of.low);
        sums_of = sums(of, &stored, format.highest);
        let gain = group_sum::<SUBS>(&gain(of, &sums_of, &stored));
        let better = above(&gain, &most);
        replace(&better, &mut most, &gain);
        replace(&better, &mut best.unit.scale, &tried.unit.scale);
        replace(&better, &mut best.unit.minimum, &tried.unit.minimum);
        replace(&better, &mut best.subs.scale, &tried.subs.scale);
        replace(&better, &mut best.subs.minimum, &tried.subs.minimum);
        fit = solve(of, &sums_of);
        refit::<SUBS, LEN>(of, &sums_of, &mut tried);
    }
    best
}

/// The whole sub-scales and sub-minima of least error with these levels: those next to the fit.
#[inline(always)]
fn nearest<const LEN: usize>(of: &Shifted<LEN>, sums: &Sums, fit: &Fit, unit: &Fit, highest: f32) -> Fit {
    let (per_scale, per_minimum) = (inverse(&unit.scale), inverse(&unit.minimum));
    let mut best = Fit {
        scale: [0.0; LANES],
        minimum: [0.0; LANES],
    };
    let mut most = [f32::NEG_INFINITY; LANES];
    for step in [0.0, -1.0, 1.0] {
        let (mut subs, mut tried) = (best, best);
        for lane in 0..LANES {
            let sub = whole(fit.scale[lane] * per_scale[lane] + step, 0.0, highest);
            let scale = sub * unit.scale[lane];
            let minimum = (scale * sums.wl[lane] - of.sum_wx[lane]) / of.sum_w[lane];
            let sub_minimum = whole((minimum - of.low[lane]) * per_minimum[lane], 0.0, highest);
            subs.scale[lane] = sub;
            subs.minimum[lane] = sub_minimum;
            tried.scale[lane] = scale;
            tried.minimum[lane] = sub_minimum * unit.minimum[lane] + of.low[lane];
        }
        let gain = gain(of, sums, &tried);
        let better = above(&gain, &most);
        replace(&better, &mut most, &gain);
        replace(&better, &mut best.scale, &subs.scale);
        replace(&better, &mut best.minimum, &subs.minimum);
    }
    best
}

/// The units of least error with these levels, sub-scales and sub-minima; as they were where there are none.
#[inline(always)]
fn refit<const SUBS: usize, const LEN: usize>(of: &Shifted<LEN>, sums: &Sums, tried: &mut Rounded) {
    let mut terms = [[0.0; LANES]; 5];
    for lane in 0..LANES {
        let (scale, minimum, low) = (tried.subs.scale[lane], tried.subs.minimum[lane], of.low[lane]);
        terms[0][lane] = scale * scale * sums.wll[lane];
        terms[1][lane] = scale * minimum * sums.wl[lane];
        terms[2][lane] = minimum * minimum * of.sum_w[lane];
        terms[3][lane] = scale * (sums.wlx[lane] + low * sums.wl[lane]);
        terms[4][lane] = minimum * (of.sum_wx[lane] + low * of.sum_w[lane]);
    }
    let mut unit = tried.unit;
    let [ss, sm, mm, sx, mx] = [
        group_sum::<SUBS>(&terms[0]),
        group_sum::<SUBS>(&terms[1]),
        group_sum::<SUBS>(&terms[2]),
        group_sum::<SUBS>(&terms[3]),
        group_sum::<SUBS>(&terms[4]),
    ];
    for lane in 0..LANES {
        let determinant = ss[lane] * mm[lane] - sm[lane] * sm[lane];
        let scale = (sx[lane] * mm[lane] - mx[lane] * sm[lane]) / determinant;
        let minimum = (sm[lane] * sx[lane] - ss[lane] * mx[lane]) / determinant;
        let solved = scale > 0.0 && minimum > 0.0;
        // Without minima the scale has an optimum of its own.
        let alone = if mm[lane] == 0.0 {
            sx[lane] / ss[lane]
        } else {
            unit.scale[lane]
        };
        unit.scale[lane] = if solved { scale } else { alone };
        unit.minimum[lane] = if solved { minimum } else { unit.minimum[lane] };
    }
    let rounded = Fit {
        scale: rounded_to_f16(&unit.scale),
        minimum: rounded_to_f16(&unit.minimum),
    };
    for lane in 0..LANES {
        let usable =
            rounded.scale[lane] > 0.0 && rounded.scale[lane].is_finite() && rounded.minimum[lane].is_finite();
        if usable {
            tried.unit.scale[lane] = rounded.scale[lane];
            tried.unit.minimum[lane] = rounded.minimum[lane];
        }
    }
}
