//! Products of float32 activations with F32, F16 and BF16 numbers: nothing is quantized.

use super::number::{Number, load_rest};
use crate::simd::{LANES, Simd};

/// The products of `R` rows with `O` rows of `weights`, which are `stride` numbers apart.
///
/// Lane `l` sums the columns `l`, `l + 16`, ... in that order; missing columns of the last 16 are zeros. Which tile
/// computes an entry changes nothing about its bits: each has accumulators of its own.
#[inline(always)]
pub(crate) fn products<S: Simd, T: Number, const R: usize, const O: usize>(
    x: [&[f32]; R],
    weights: &[T],
    stride: usize,
) -> [[f32; O]; R] {
    let cols = x[0].len();
    let chunks = cols / LANES;
    let mut x_whole: [&[[f32; LANES]]; R] = [&[]; R];
    let mut x_rest: [&[f32]; R] = [&[]; R];
    for at in 0..R {
        let (whole, rest) = x[at][..cols].as_chunks();
        (x_whole[at], x_rest[at]) = (&whole[..chunks], rest);
    }
    let mut weights_whole: [&[[T; LANES]]; O] = [&[]; O];
    let mut weights_rest: [&[T]; O] = [&[]; O];
    for at in 0..O {
        let (whole, rest) = weights[at * stride..][..cols].as_chunks();
        (weights_whole[at], weights_rest[at]) = (&whole[..chunks], rest);
    }
    let mut sums = [[S::zero(); O]; R];
    for chunk in 0..chunks {
        let mut loaded = [S::zero(); O];
        for at in 0..O {
            loaded[at] = T::load(&weights_whole[at][chunk]);
        }
        for at in 0..R {
            add_products(S::load(&x_whole[at][chunk]), &loaded, &mut sums[at]);
        }
    }
    if !cols.is_multiple_of(LANES) {
        let mut loaded = [S::zero(); O];
        for at in 0..O {
            loaded[at] = load_rest(weights_rest[at]);
        }
        for at in 0..R {
            add_products(load_rest(x_rest[at]), &loaded, &mut sums[at]);
        }
    }
    let mut totals = [[0.0; O]; R];
    for row in 0..R {
        for output in 0..O {
            totals[row][output] = sums[row][output].sum();
        }
    }
    totals
}

#[inline(always)]
pub(crate) fn add_products<S: Simd, const O: usize>(x: S, weights: &[S; O], sums: &mut [S; O]) {
    for at in 0..O {
        sums[at] = weights[at].fma(x, sums[at]);
    }
}
