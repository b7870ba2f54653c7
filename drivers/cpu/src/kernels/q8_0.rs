//! Products of int8 activations with Q8_0 weights.

use half::f16;
use mains_blocks::BlockQ8_0;

use super::plain::totals;
use super::quantize::QuantizedRows;
use super::tiles::Tiles;
use crate::simd::{HALF, Simd};

/// What follows the last block of a row with an odd number of them.
const EMPTY: BlockQ8_0 = BlockQ8_0 {
    scale: [0; 2],
    quants: [0; HALF],
};

/// Rows of quantized activations and of `blocks` blocks of weights.
pub(crate) struct Q8Tiles<'a> {
    pub(crate) x: &'a QuantizedRows,
    pub(crate) weights: &'a [BlockQ8_0],
    pub(crate) blocks: usize,
}

impl Tiles for Q8Tiles<'_> {
    /// Lane `8 (b mod 2) + l` sums over the blocks `b` the exact sum of the products of quants `4 l` to `4 l + 3`, times
    /// both scales, in the order of the blocks.
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const O: usize>(&self, row: usize, output: usize) -> [[f32; O]; R] {
        let pairs = self.blocks / 2;
        let mut x: [Row<'_>; R] = [(&[], &[]); R];
        for at in 0..R {
            let scales = self.x.scales(row + at).as_chunks().0;
            x[at] = (self.x.quants(row + at), scales);
        }
        let mut weights: [&[BlockQ8_0]; O] = [&[]; O];
        for at in 0..O {
            weights[at] = &self.weights[(output + at) * self.blocks..][..self.blocks];
        }
        let mut sums = [[S::zero(); O]; R];
        for pair in 0..pairs {
            let mut blocks = [(&EMPTY, &EMPTY); O];
            for at in 0..O {
                blocks[at] = (&weights[at][2 * pair], &weights[at][2 * pair + 1]);
            }
            add_pair(&x, &blocks, pair, &mut sums);
        }
        if !self.blocks.is_multiple_of(2) {
            let mut blocks = [(&EMPTY, &EMPTY); O];
            for at in 0..O {
                blocks[at].0 = &weights[at][2 * pairs];
            }
            add_pair(&x, &blocks, pairs, &mut sums);
        }
        totals(&sums)
    }
}

type Row<'a> = (&'a [[[i8; HALF]; 2]], &'a [[f32; 2]]);

#[inline(always)]
fn add_pair<S: Simd, const R: usize, const O: usize>(
    x: &[Row<'_>; R],
    weights: &[(&BlockQ8_0, &BlockQ8_0); O],
    pair: usize,
    sums: &mut [[S; O]; R],
) {
    let mut x_quants = [S::load_quants(&[0; HALF], &[0; HALF]); R];
    let mut x_scales = [S::zero(); R];
    for at in 0..R {
        let [low, high] = &x[at].0[pair];
        x_quants[at] = S::load_quants(low, high);
        let [low, high] = x[at].1[pair];
        x_scales[at] = S::pair(low, high);
    }
    for output in 0..O {
        let (low, high) = weights[output];
        let quants = S::load_quants(&low.quants, &high.quants);
        let scales = S::pair_f16(f16::from_le_bytes(low.scale), f16::from_le_bytes(high.scale));
        for at in 0..R {
            let products = S::dot_i8(quants, x_quants[at]);
            sums[at][output] = products.fma(scales.mul(x_scales[at]), sums[at][output]);
        }
    }
}
