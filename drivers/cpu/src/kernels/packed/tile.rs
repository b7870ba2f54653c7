//! The one product of packed weights: rows of int8 activations with a group of 16 outputs.

use super::layout::{Base, Group, Layout, PART, PART_VECTORS};
use crate::kernels::quantize::QuantizedRow;
use crate::simd::Simd;

/// The products of `R` rows with the 16 outputs of `group`, over `cols` columns.
#[inline(always)]
pub(super) fn tile<S: Simd, L: Layout, const R: usize>(
    group: Group<'_>,
    cols: usize,
    x: &[QuantizedRow<'_>; R],
) -> [S; R] {
    let mut sums = [S::zero(); R];
    let parts = L::BLOCK / PART;
    for block in 0..cols / L::BLOCK {
        let header = group.header::<L>(block);
        let base = Base::<S>::new::<L>(header);
        for part in 0..parts {
            let at = block * parts + part;
            let levels = group.levels::<S, L>(at);
            if L::SUB == PART {
                let scale = base.scale::<L>(header, part);
                let minimum = base.minimum::<L>(header, part);
                for row in 0..R {
                    add_whole::<S, L>(&levels, [scale, minimum], &x[row], at, &mut sums[row]);
                }
            } else {
                for half in 0..2 {
                    let sub = 2 * part + half;
                    let scale = base.scale::<L>(header, sub);
                    let minimum = base.minimum::<L>(header, sub);
                    for row in 0..R {
                        add_half::<S, L>(&levels, [scale, minimum], &x[row], (at, half), &mut sums[row]);
                    }
                }
            }
        }
    }
    sums
}

/// Adds the products of 32 columns that share a scale.
#[inline(always)]
fn add_whole<S: Simd, L: Layout>(
    levels: &[S::Bytes; PART_VECTORS],
    [scale, minimum]: [S; 2],
    x: &QuantizedRow<'_>,
    at: usize,
    sums: &mut S,
) {
    let (facts, quants) = (&x.blocks[at], &x.quants[at]);
    let mut products = S::ints(-i32::from(L::ZERO) * facts.sum);
    for quad in 0..PART_VECTORS {
        products = dot::<S, L>(products, levels[quad], quants[quad]);
    }
    *sums = S::floats(products).fma(scale.mul(S::splat(facts.scale)), *sums);
    if L::MINIMA {
        *sums = minimum.fma(S::splat(facts.negative), *sums);
    }
}

/// Adds the products of the first or second 16 of 32 columns.
#[inline(always)]
fn add_half<S: Simd, L: Layout>(
    levels: &[S::Bytes; PART_VECTORS],
    [scale, minimum]: [S; 2],
    x: &QuantizedRow<'_>,
    (at, half): (usize, usize),
    sums: &mut S,
) {
    let (facts, halves, quants) = (&x.blocks[at], &x.halves[at], &x.quants[at]);
    let mut products = S::ints(-i32::from(L::ZERO) * halves.sums[half]);
    for quad in 0..PART_VECTORS / 2 {
        let quad = half * PART_VECTORS / 2 + quad;
        products = dot::<S, L>(products, levels[quad], quants[quad]);
    }
    *sums = S::floats(products).fma(scale.mul(S::splat(facts.scale)), *sums);
    if L::MINIMA {
        *sums = minimum.fma(S::splat(halves.negatives[half]), *sums);
    }
}

#[inline(always)]
fn dot<S: Simd, L: Layout>(sums: S::Ints, levels: S::Bytes, quants: [i8; 4]) -> S::Ints {
    if L::FULL {
        S::dot::<true>(sums, levels, quants)
    } else {
        S::dot::<false>(sums, levels, quants)
    }
}
