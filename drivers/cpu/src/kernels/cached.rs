//! What keys and values are kept in, as attention loads and stores them.

use std::ops::Range;

use bytemuck::Pod;
use half::{bf16, f16};
use mains_blocks::{BlockQ4_0, BlockQ8_0, CACHE_BLOCK};

use super::number::{Number, StateNumber, load_rest, store_rest};
use super::plain::{add_products, products};
use crate::simd::{LANES, Simd};

/// An element of a cache: one number, or a block of them.
pub(crate) trait Cached: Pod {
    /// Numbers of an element.
    const NUMBERS: usize;

    /// The products of `R` queries with `O` keys, which are `stride` elements apart: lanes and their sum as in
    /// [`products`].
    fn products<S: Simd, const R: usize, const O: usize>(
        x: [&[f32]; R],
        keys: &[Self],
        stride: usize,
    ) -> [[f32; O]; R];

    /// Numbers `columns` of a row as `C` vectors; missing lanes are 0. The first is a multiple of 16.
    fn load<S: Simd, const C: usize>(row: &[Self], columns: &Range<usize>) -> [S; C];

    /// Rounds a row.
    fn store<S: Simd>(x: &[f32], out: &mut [Self]);
}

macro_rules! numbers {
    ($number:ty) => {
        impl Cached for $number {
            const NUMBERS: usize = 1;

            #[inline(always)]
            fn products<S: Simd, const R: usize, const O: usize>(
                x: [&[f32]; R],
                keys: &[Self],
                stride: usize,
            ) -> [[f32; O]; R] {
                products::<S, Self, R, O>(x, keys, stride)
            }

            #[inline(always)]
            fn load<S: Simd, const C: usize>(row: &[Self], columns: &Range<usize>) -> [S; C] {
                let mut loaded = [S::zero(); C];
                let (chunks, rest) = row[columns.start..columns.end].as_chunks::<LANES>();
                for at in 0..C {
                    loaded[at] = match chunks.get(at) {
                        Some(chunk) => <Self as Number>::load(chunk),
                        None => load_rest(rest),
                    };
                }
                loaded
            }

            #[inline(always)]
            fn store<S: Simd>(x: &[f32], out: &mut [Self]) {
                let (x, x_rest) = x.as_chunks::<LANES>();
                let (out, out_rest) = out.as_chunks_mut::<LANES>();
                for (x, out) in x.iter().zip(out) {
                    <Self as StateNumber>::store(S::load(x), out);
                }
                store_rest::<S, Self>(load_rest(x_rest), out_rest);
            }
        }
    };
}

numbers!(f32);
numbers!(f16);
numbers!(bf16);

/// A block whose numbers are levels times a scale.
trait CachedBlock: Pod {
    /// The first or the second 16 numbers.
    fn half<S: Simd>(&self, half: usize) -> S;

    fn nearest(numbers: &[f32; CACHE_BLOCK]) -> Self;
}

impl CachedBlock for BlockQ8_0 {
    #[inline(always)]
    fn half<S: Simd>(&self, half: usize) -> S {
        S::load_i8(&self.quants.as_chunks::<LANES>().0[half]).mul(scale(self.scale))
    }

    #[inline(always)]
    fn nearest(numbers: &[f32; CACHE_BLOCK]) -> Self {
        Self::cached(numbers)
    }
}

impl CachedBlock for BlockQ4_0 {
    #[inline(always)]
    fn half<S: Simd>(&self, half: usize) -> S {
        const LOW: u128 = u128::MAX / 0xff * 0x0f;
        let levels = u128::from_le_bytes(self.quants) >> (4 * half) & LOW;
        let levels = S::load_u8(&levels.to_le_bytes()).sub(S::splat(8.0));
        levels.mul(scale(self.scale))
    }

    #[inline(always)]
    fn nearest(numbers: &[f32; CACHE_BLOCK]) -> Self {
        Self::cached(numbers)
    }
}

#[inline(always)]
fn scale<S: Simd>(scale: [u8; 2]) -> S {
    S::load_f16(&[f16::from_le_bytes(scale); LANES])
}

macro_rules! blocks {
    ($block:ty) => {
        impl Cached for $block {
            const NUMBERS: usize = CACHE_BLOCK;

            #[inline(always)]
            fn products<S: Simd, const R: usize, const O: usize>(
                x: [&[f32]; R],
                keys: &[Self],
                stride: usize,
            ) -> [[f32; O]; R] {
                block_products::<S, Self, R, O>(x, keys, stride)
            }

            #[inline(always)]
            fn load<S: Simd, const C: usize>(row: &[Self], columns: &Range<usize>) -> [S; C] {
                let mut loaded = [S::zero(); C];
                for at in 0..C {
                    let chunk = columns.start / LANES + at;
                    loaded[at] = row[chunk / 2].half(chunk % 2);
                }
                loaded
            }

            #[inline(always)]
            fn store<S: Simd>(x: &[f32], out: &mut [Self]) {
                for (x, out) in x.as_chunks().0.iter().zip(out) {
                    *out = CachedBlock::nearest(x);
                }
            }
        }
    };
}

blocks!(BlockQ8_0);
blocks!(BlockQ4_0);

#[inline(always)]
fn block_products<S: Simd, B: CachedBlock, const R: usize, const O: usize>(
    x: [&[f32]; R],
    keys: &[B],
    stride: usize,
) -> [[f32; O]; R] {
    let blocks = x[0].len() / CACHE_BLOCK;
    let mut halves: [&[[f32; LANES]]; R] = [&[]; R];
    for at in 0..R {
        halves[at] = &x[at].as_chunks().0[..2 * blocks];
    }
    let mut rows: [&[B]; O] = [&[]; O];
    for at in 0..O {
        rows[at] = &keys[at * stride..][..blocks];
    }
    let mut sums = [[S::zero(); O]; R];
    for block in 0..blocks {
        for half in 0..2 {
            let mut loaded = [S::zero(); O];
            for at in 0..O {
                loaded[at] = rows[at][block].half(half);
            }
            for at in 0..R {
                add_products(S::load(&halves[at][2 * block + half]), &loaded, &mut sums[at]);
            }
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
