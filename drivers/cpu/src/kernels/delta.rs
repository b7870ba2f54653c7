//! The gated delta rule (arXiv 2412.06464) of one head and one token.

use super::math::exp;
use super::number::{load_rest, store_rest};
use crate::isa::Kernel;
use crate::simd::{LANES, Simd};

/// Vectors of value columns that are computed together.
const TOGETHER: usize = 4;

/// Moves the state of a head one token on, and reads it.
pub(crate) struct DeltaToken<'a> {
    /// `key_dim x value_dim`.
    pub(crate) state: &'a mut [f32],
    pub(crate) query: &'a [f32],
    pub(crate) key: &'a [f32],
    pub(crate) value: &'a [f32],
    /// The logarithm of what is left of the state.
    pub(crate) decay: f32,
    pub(crate) beta: f32,
    pub(crate) out: &'a mut [f32],
}

impl Kernel for DeltaToken<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        let columns = self.value.len();
        let mut start = 0;
        while start + TOGETHER * LANES <= columns {
            self.columns::<S, TOGETHER>(start, start + TOGETHER * LANES);
            start += TOGETHER * LANES;
        }
        while start < columns {
            let end = columns.min(start + LANES);
            self.columns::<S, 1>(start, end);
            start = end;
        }
    }
}

impl DeltaToken<'_> {
    /// `C` vectors of value columns, the last of which may not be full.
    #[inline(always)]
    fn columns<S: Simd, const C: usize>(&mut self, start: usize, end: usize) {
        let width = self.value.len();
        let decay = exp(S::splat(self.decay));
        let mut known = [S::zero(); C];
        for (row, key) in self.state.chunks_exact_mut(width).zip(self.key) {
            let row = &mut row[start..end];
            for (at, known) in known.iter_mut().enumerate() {
                let numbers = load::<S>(row, at).mul(decay);
                store::<S>(numbers, row, at);
                *known = numbers.fma(S::splat(*key), *known);
            }
        }
        let mut delta = [S::zero(); C];
        for at in 0..C {
            let value = load::<S>(&self.value[start..end], at);
            delta[at] = value.sub(known[at]).mul(S::splat(self.beta));
        }
        let mut out = [S::zero(); C];
        let keys = self.key.iter().zip(self.query);
        for (row, (key, query)) in self.state.chunks_exact_mut(width).zip(keys) {
            let row = &mut row[start..end];
            for at in 0..C {
                let numbers = delta[at].fma(S::splat(*key), load::<S>(row, at));
                store::<S>(numbers, row, at);
                out[at] = numbers.fma(S::splat(*query), out[at]);
            }
        }
        for at in 0..C {
            store::<S>(out[at], &mut self.out[start..end], at);
        }
    }
}

#[inline(always)]
fn load<S: Simd>(row: &[f32], at: usize) -> S {
    let (whole, rest) = row.as_chunks::<LANES>();
    match whole.get(at) {
        Some(chunk) => S::load(chunk),
        None => load_rest(rest),
    }
}

#[inline(always)]
fn store<S: Simd>(vector: S, row: &mut [f32], at: usize) {
    let (whole, rest) = row.as_chunks_mut::<LANES>();
    match whole.get_mut(at) {
        Some(chunk) => vector.store(chunk),
        None => store_rest(vector, rest),
    }
}
