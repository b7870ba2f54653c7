//! Q4_K: a search for scales and minima of sub-blocks.
//!
//! The method is the one published with the k-quants (ggml-org/llama.cpp pull request 1684): for a grid of step sizes,
//! round to 4 bits, then solve for the scale and the minimum that minimise the weighted squared error. The rounding of
//! both to 6 bits is then repaired by trying the neighbours of each.

use half::f16;

use crate::{BlockQ4K, Q4_K_SUB_BLOCKS, Q4_K_SUB_LEN};

/// The largest quant of 4 bits.
const MAX_QUANT: f32 = 15.0;
/// The largest sub-scale or sub-minimum of 6 bits.
const MAX_SUB: f32 = 63.0;
/// 1.5 * 2^23: adding and subtracting it rounds a small float32 to a whole number, ties to even, without a call.
const TO_WHOLE: f32 = 12_582_912.0;
/// Sums that run side by side, so that additions need not wait for each other.
const LANES: usize = 8;
/// Step sizes tried on either side of the one that spans the sub-block. Beyond 10 the error falls by under 0.1 %.
const GRID_SIDE: i8 = 10;
/// The difference between two step sizes, in quants over the span of the sub-block.
const GRID_STEP: f32 = 0.15;

type Sub = [f32; Q4_K_SUB_LEN];

/// An affine map of quants to numbers, `scale * quant - min`, with neither negative.
#[derive(Clone, Copy)]
struct Affine {
    scale: f32,
    min: f32,
}

/// Quantizes 256 finite numbers, or gives `None` when a scale is beyond the range of f16.
pub(crate) fn quantize_block(numbers: &[f32; 256]) -> Option<BlockQ4K> {
    let (subs, _) = numbers.as_chunks::<Q4_K_SUB_LEN>();
    let mut fits = [Affine { scale: 0.0, min: 0.0 }; Q4_K_SUB_BLOCKS];
    for (fit, sub) in fits.iter_mut().zip(subs) {
        *fit = search(sub, &weights(sub));
    }
    let scale = super_scale(fits.map(|fit| fit.scale))?;
    let min = super_scale(fits.map(|fit| fit.min))?;
    let mut block = BlockQ4K {
        scale: scale.to_le_bytes(),
        min: min.to_le_bytes(),
        packed: [0; 12],
        quants: [0; 128],
    };
    let (mut sub_scales, mut sub_mins) = ([0; Q4_K_SUB_BLOCKS], [0; Q4_K_SUB_BLOCKS]);
    for (index, sub) in subs.iter().enumerate() {
        let (sub_scale, sub_min) = round_fit(sub, fits[index], scale.to_f32(), min.to_f32());
        (sub_scales[index], sub_mins[index]) = (sub_scale, sub_min);
        let stored = Affine {
            scale: scale.to_f32() * f32::from(sub_scale),
            min: min.to_f32() * f32::from(sub_min),
        };
        let inverse = stored.inverse();
        let shift = 4 * (index % 2);
        let bytes = &mut block.quants[index / 2 * Q4_K_SUB_LEN..][..Q4_K_SUB_LEN];
        for (byte, number) in bytes.iter_mut().zip(sub) {
            *byte |= to_u8(stored.quant(inverse, *number)) << shift;
        }
    }
    block.packed = BlockQ4K::pack_sub_scales(sub_scales, sub_mins);
    Some(block)
}

impl Affine {
    /// What turns a number into a quant: no division in the inner loop.
    fn inverse(self) -> f32 {
        if self.scale > 0.0 { 1.0 / self.scale } else { 0.0 }
    }

    fn quant(self, inverse: f32, number: f32) -> f32 {
        ((number + self.min) * inverse).clamp(0.0, MAX_QUANT) + TO_WHOLE - TO_WHOLE
    }

    fn error(self, numbers: &Sub, weights: &Sub) -> f32 {
        let inverse = self.inverse();
        let mut lanes = [0.0; LANES];
        for (numbers, weights) in chunks(numbers, weights) {
            for lane in 0..LANES {
                let off = self.scale * self.quant(inverse, numbers[lane]) - self.min - numbers[lane];
                lanes[lane] += weights[lane] * off * off;
            }
        }
        lanes.iter().sum()
    }
}

fn chunks<'a>(
    numbers: &'a Sub,
    weights: &'a Sub,
) -> impl Iterator<Item = (&'a [f32; LANES], &'a [f32; LANES])> {
    numbers.as_chunks().0.iter().zip(weights.as_chunks().0)
}

/// What an error in each number costs: large weights matter more to the product than the many near zero.
fn weights(numbers: &Sub) -> Sub {
    let mean_square = numbers.iter().map(|number| number * number).sum::<f32>() / 32.0;
    let level = mean_square.sqrt();
    numbers.map(|number| level + number.abs())
}

fn search(numbers: &Sub, weights: &Sub) -> Affine {
    let low = numbers.iter().fold(0.0_f32, |low, number| low.min(*number));
    let high = numbers.iter().fold(f32::MIN, |high, number| high.max(*number));
    let span = high - low;
    if span <= 0.0 {
        return Affine {
            scale: 0.0,
            min: -low,
        };
    }
    let mut best = Affine {
        scale: span / MAX_QUANT,
        min: -low,
    };
    let mut least = best.error(numbers, weights);
    for step in -GRID_SIDE..=GRID_SIDE {
        let start = Affine {
            scale: span / (MAX_QUANT + GRID_STEP * f32::from(step)),
            min: -low,
        };
        let fit = solve(numbers, weights, start);
        let error = fit.error(numbers, weights);
        if error < least {
            (best, least) = (fit, error);
        }
    }
    best
}

/// The scale and minimum of least error for the quants that `start` gives.
fn solve(numbers: &Sub, weights: &Sub, start: Affine) -> Affine {
    let inverse = start.inverse();
    let mut lanes = [[0.0; LANES]; 5];
    for (numbers, weights) in chunks(numbers, weights) {
        for lane in 0..LANES {
            let (number, weight) = (numbers[lane], weights[lane]);
            let quant = start.quant(inverse, number);
            lanes[0][lane] += weight;
            lanes[1][lane] += weight * quant;
            lanes[2][lane] += weight * quant * quant;
            lanes[3][lane] += weight * number;
            lanes[4][lane] += weight * quant * number;
        }
    }
    let [w, wq, wqq, wx, wqx] = lanes.map(|lanes| lanes.iter().sum::<f32>());
    let determinant = w * wqq - wq * wq;
    if determinant <= 0.0 {
        return start;
    }
    let scale = (w * wqx - wx * wq) / determinant;
    let min = (wq * wqx - wqq * wx) / determinant;
    if min < 0.0 {
        // The format has no negative minimum: the best scale through zero.
        return Affine {
            scale: (wqx / wqq).max(0.0),
            min: 0.0,
        };
    }
    Affine {
        scale: scale.max(0.0),
        min,
    }
}

/// The f16 of which the largest value is 63 times as much, or `None` when it overflows.
fn super_scale(values: [f32; Q4_K_SUB_BLOCKS]) -> Option<f16> {
    let largest = values.into_iter().fold(0.0_f32, f32::max);
    let scale = f16::from_f32(largest / MAX_SUB);
    scale.is_finite().then_some(scale)
}

/// The 6-bit sub-scale and sub-minimum of least error around the fit.
fn round_fit(numbers: &Sub, fit: Affine, scale: f32, min: f32) -> (u8, u8) {
    let weights = weights(numbers);
    let nearest = |value: f32, unit: f32| {
        if unit > 0.0 {
            (value / unit).round().min(MAX_SUB)
        } else {
            0.0
        }
    };
    let (sub_scale, sub_min) = (nearest(fit.scale, scale), nearest(fit.min, min));
    let mut best = (sub_scale, sub_min);
    let mut least = f32::INFINITY;
    for scale_step in [0.0, -1.0, 1.0] {
        for min_step in [0.0, -1.0, 1.0] {
            let tried = (sub_scale + scale_step, sub_min + min_step);
            let valid = |sub: f32| (0.0..=MAX_SUB).contains(&sub);
            if !valid(tried.0) || !valid(tried.1) {
                continue;
            }
            let stored = Affine {
                scale: scale * tried.0,
                min: min * tried.1,
            };
            let error = stored.error(numbers, &weights);
            if error < least {
                (best, least) = (tried, error);
            }
        }
    }
    (to_u8(best.0), to_u8(best.1))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and 0..=63 where it is called"
)]
fn to_u8(whole: f32) -> u8 {
    whole as u8
}
