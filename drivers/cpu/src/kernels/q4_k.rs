//! Products of int8 activations with Q4_K weights.

use half::f16;
use mains_blocks::BlockQ4K;

use super::plain::totals;
use super::quantize::QuantizedRows;
use super::tiles::Tiles;
use crate::simd::{HALF, Simd};

/// Sub-blocks of a block.
const SUBS: usize = 8;

/// Rows of quantized activations and of `blocks` blocks of weights.
pub(crate) struct Q4Tiles<'a> {
    pub(crate) x: &'a QuantizedRows,
    pub(crate) weights: &'a [BlockQ4K],
    pub(crate) blocks: usize,
}

/// Quants, scales and sums of one row, a block of weights each.
type Row<'a> = (&'a [[[[i8; HALF]; 2]; 4]], &'a [[f32; SUBS]], &'a [[f32; SUBS]]);

impl Tiles for Q4Tiles<'_> {
    /// Lane `8 (s mod 2) + l` sums over the sub-blocks `s` the exact sum of the products of quants `4 l` to `4 l + 3`,
    /// times all scales, in the order of the sub-blocks. Lane `s` of a second vector sums over the blocks the minimum of
    /// sub-block `s` times the sum of its activations; the result is the difference of both vectors' sums.
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const O: usize>(&self, row: usize, output: usize) -> [[f32; O]; R] {
        let mut x: [Row<'_>; R] = [(&[], &[], &[]); R];
        for at in 0..R {
            let quants = self.x.quants(row + at).as_chunks().0;
            let (scales, sums) = (
                self.x.scales(row + at).as_chunks().0,
                self.x.sums(row + at).as_chunks().0,
            );
            x[at] = (
                &quants[..self.blocks],
                &scales[..self.blocks],
                &sums[..self.blocks],
            );
        }
        let mut weights: [&[BlockQ4K]; O] = [&[]; O];
        for at in 0..O {
            weights[at] = &self.weights[(output + at) * self.blocks..][..self.blocks];
        }
        let mut sums = [[S::zero(); O]; R];
        let mut minima = [[S::zero(); O]; R];
        for block in 0..self.blocks {
            for at in 0..O {
                let weights = Block::<S>::load(&weights[at][block]);
                for row in 0..R {
                    let (quants, scales, x_sums) = x[row];
                    minima[row][at] = weights.minima.fma(S::octet(&x_sums[block]), minima[row][at]);
                    let scales = weights.scales.mul(S::octet(&scales[block]));
                    sums[row][at] = weights.add_products(&quants[block], scales, sums[row][at]);
                }
            }
        }
        let (mut totals, minima) = (totals(&sums), totals(&minima));
        for row in 0..R {
            for at in 0..O {
                totals[row][at] -= minima[row][at];
            }
        }
        totals
    }
}

/// A block of weights in registers.
struct Block<S: Simd> {
    quants: [S::Quants; 4],
    /// Of the sub-blocks, in lanes 0 to 7.
    scales: S,
    /// Of the sub-blocks, in lanes 0 to 7.
    minima: S,
}

impl<S: Simd> Block<S> {
    #[inline(always)]
    fn load(block: &BlockQ4K) -> Self {
        let (scales, minima) = unpack(&block.packed);
        let (scale, min) = (f16::from_le_bytes(block.scale), f16::from_le_bytes(block.min));
        let quants = block.quants.as_chunks::<HALF>().0;
        Self {
            quants: [
                S::load_nibbles(&quants[0]),
                S::load_nibbles(&quants[1]),
                S::load_nibbles(&quants[2]),
                S::load_nibbles(&quants[3]),
            ],
            scales: S::octet_u8(scales).mul(S::pair_f16(scale, scale)),
            minima: S::octet_u8(minima).mul(S::pair_f16(min, min)),
        }
    }

    #[inline(always)]
    fn add_products(&self, x: &[[[i8; HALF]; 2]; 4], scales: S, sums: S) -> S {
        let sums = self.dot(0, x).fma(scales.spread::<0>(), sums);
        let sums = self.dot(1, x).fma(scales.spread::<1>(), sums);
        let sums = self.dot(2, x).fma(scales.spread::<2>(), sums);
        self.dot(3, x).fma(scales.spread::<3>(), sums)
    }

    #[inline(always)]
    fn dot(&self, pair: usize, x: &[[[i8; HALF]; 2]; 4]) -> S {
        let [low, high] = &x[pair];
        S::dot_u4(self.quants[pair], S::load_quants(low, high))
    }
}

/// [`BlockQ4K::sub_scales`], four at a time: the scales and the minima, a byte each, the first in the lowest.
#[inline(always)]
fn unpack(packed: &[u8; 12]) -> (u64, u64) {
    const LOW_SIX: u32 = 0x3f3f_3f3f;
    const LOW_FOUR: u32 = 0x0f0f_0f0f;
    const LOW_TWO: u32 = 0x0303_0303;
    let [scales, minima, both] =
        [0, 4, 8].map(|at| u32::from_le_bytes([packed[at], packed[at + 1], packed[at + 2], packed[at + 3]]));
    let late_scales = both & LOW_FOUR | (scales >> 6 & LOW_TWO) << 4;
    let late_minima = both >> 4 & LOW_FOUR | (minima >> 6 & LOW_TWO) << 4;
    (
        u64::from(scales & LOW_SIX) | u64::from(late_scales) << 32,
        u64::from(minima & LOW_SIX) | u64::from(late_minima) << 32,
    )
}

#[cfg(test)]
mod tests {
    use mains_blocks::BlockQ4K;

    use super::unpack;

    #[test]
    fn unpacking_four_at_a_time_agrees_with_the_format() {
        let mut packed = [0_u8; 12];
        for seed in 0..=255_u8 {
            for (at, byte) in (0_u8..).zip(&mut packed) {
                *byte = seed.wrapping_mul(89).wrapping_add(at.wrapping_mul(37)) ^ seed.rotate_left(3);
            }
            let block = BlockQ4K {
                scale: [0; 2],
                min: [0; 2],
                packed,
                quants: [0; 128],
            };
            let (scales, minima) = unpack(&packed);
            assert_eq!((scales.to_le_bytes(), minima.to_le_bytes()), block.sub_scales());
        }
    }
}
