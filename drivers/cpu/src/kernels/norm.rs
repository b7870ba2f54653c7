//! Norms of the groups of a row; a vector's lane `l` sums the numbers `l`, `l + 16`, ... of a group.

use super::number::{load_rest, map_chunks, update_chunks, zip_chunks};
use crate::isa::Kernel;
use crate::simd::{LANES, Simd};

/// Which norm, with what it adds so that it divides by no zero.
#[derive(Clone, Copy)]
pub(crate) enum Norm {
    /// `x / sqrt(mean(x^2) + epsilon)` (arXiv 1910.07467).
    RootMeanSquare(f32),
    /// `(x - mean) / sqrt(variance + epsilon)` (arXiv 1607.06450).
    Layer(f32),
    /// `x / sqrt(sum(x^2) + epsilon)`.
    Length(f32),
}

/// Normalises each group of one row.
pub(crate) struct Normalise<'a> {
    pub(crate) norm: Norm,
    pub(crate) group: usize,
    pub(crate) x: &'a [f32],
    /// `group` numbers.
    pub(crate) gain: Option<&'a [f32]>,
    /// `group` numbers.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) out: &'a mut [f32],
}

impl Kernel for Normalise<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let groups = self.x.chunks_exact(self.group);
        for (x, out) in groups.zip(self.out.chunks_exact_mut(self.group)) {
            let (center, factor) = statistics::<S>(self.norm, x);
            match self.gain {
                Some(gain) => {
                    zip_chunks::<S>(x, gain, out, |x: S, gain: S| x.sub(center).mul(factor).mul(gain));
                }
                None => map_chunks::<S>(x, out, |x: S| x.sub(center).mul(factor)),
            }
            if let Some(bias) = self.bias {
                update_chunks::<S>(out, bias, |x: S, bias: S| x.add(bias));
            }
        }
    }
}

/// What is taken off each number, and what the rest is multiplied by.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "a row has far fewer than 2^24 numbers")]
fn statistics<S: Simd>(norm: Norm, x: &[f32]) -> (S, S) {
    let count = x.len() as f32;
    let inverse = |square: f32| S::splat(1.0 / square.sqrt());
    match norm {
        Norm::RootMeanSquare(epsilon) => (S::zero(), inverse(squares::<S>(x, S::zero()) / count + epsilon)),
        Norm::Length(epsilon) => (S::zero(), inverse(squares::<S>(x, S::zero()) + epsilon)),
        Norm::Layer(epsilon) => {
            let mean = S::splat(total::<S>(x) / count);
            (mean, inverse(squares::<S>(x, mean) / count + epsilon))
        }
    }
}

#[inline(always)]
fn total<S: Simd>(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut sums = S::zero();
    for chunk in chunks {
        sums = sums.add(S::load(chunk));
    }
    sums.add(load_rest(rest)).sum()
}

/// The sum of the squares of what `x` is beyond `center`.
#[inline(always)]
fn squares<S: Simd>(x: &[f32], center: S) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut squares = S::zero();
    for chunk in chunks {
        let numbers = S::load(chunk).sub(center);
        squares = numbers.fma(numbers, squares);
    }
    if !rest.is_empty() {
        // Missing numbers are as far as none from the center.
        let mut padded = [0.0; LANES];
        center.store(&mut padded);
        padded[..rest.len()].copy_from_slice(rest);
        let numbers = S::load(&padded).sub(center);
        squares = numbers.fma(numbers, squares);
    }
    squares.sum()
}
