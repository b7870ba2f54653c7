//! Products of float32 activations with F32, F16 and BF16 numbers: nothing is quantized.

use super::number::{Number, load_rest};
use super::tiles::Tiles;
use crate::simd::{LANES, Simd};

/// Rows of activations and of weights, each row `cols` numbers at its stride.
pub(crate) struct PlainTiles<'a, T> {
    pub(crate) x: &'a [f32],
    pub(crate) x_stride: usize,
    pub(crate) weights: &'a [T],
    pub(crate) weight_stride: usize,
    pub(crate) cols: usize,
}

impl<T: Number> Tiles for PlainTiles<'_, T> {
    /// Lane `l` sums the columns `l`, `l + 16`, ... in that order; missing columns of the last 16 are zeros.
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const O: usize>(&self, row: usize, output: usize) -> [[f32; O]; R] {
        let chunks = self.cols / LANES;
        let mut x: [&[[f32; LANES]]; R] = [&[]; R];
        let mut x_rest: [&[f32]; R] = [&[]; R];
        for at in 0..R {
            let (whole, rest) = self.x[(row + at) * self.x_stride..][..self.cols].as_chunks();
            (x[at], x_rest[at]) = (&whole[..chunks], rest);
        }
        let mut weights: [&[[T; LANES]]; O] = [&[]; O];
        let mut weights_rest: [&[T]; O] = [&[]; O];
        for at in 0..O {
            let (whole, rest) = self.weights[(output + at) * self.weight_stride..][..self.cols].as_chunks();
            (weights[at], weights_rest[at]) = (&whole[..chunks], rest);
        }
        let mut sums = [[S::zero(); O]; R];
        for chunk in 0..chunks {
            let mut loaded = [S::zero(); O];
            for at in 0..O {
                loaded[at] = T::load(&weights[at][chunk]);
            }
            for at in 0..R {
                add_products(S::load(&x[at][chunk]), &loaded, &mut sums[at]);
            }
        }
        if !self.cols.is_multiple_of(LANES) {
            let mut loaded = [S::zero(); O];
            for at in 0..O {
                loaded[at] = load_rest(weights_rest[at]);
            }
            for at in 0..R {
                add_products(load_rest(x_rest[at]), &loaded, &mut sums[at]);
            }
        }
        totals(&sums)
    }
}

#[inline(always)]
fn add_products<S: Simd, const O: usize>(x: S, weights: &[S; O], sums: &mut [S; O]) {
    for at in 0..O {
        sums[at] = weights[at].fma(x, sums[at]);
    }
}

/// The sums of the lanes.
#[inline(always)]
pub(crate) fn totals<S: Simd, const R: usize, const O: usize>(sums: &[[S; O]; R]) -> [[f32; O]; R] {
    let mut totals = [[0.0; O]; R];
    for row in 0..R {
        for output in 0..O {
            totals[row][output] = sums[row][output].sum();
        }
    }
    totals
}
