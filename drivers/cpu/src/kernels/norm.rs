//! Root-mean-square norm (arXiv 1910.07467).

use super::number::{load_rest, zip_chunks};
use crate::isa::Kernel;
use crate::simd::{LANES, Simd};

/// Normalises each group of `gain.len()` numbers of one row.
pub(crate) struct RmsNorm<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) gain: &'a [f32],
    pub(crate) epsilon: f32,
    pub(crate) out: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let group = self.gain.len();
        for (x, out) in self.x.chunks_exact(group).zip(self.out.chunks_exact_mut(group)) {
            let factor = S::splat(factor::<S>(x, self.epsilon));
            zip_chunks::<S>(x, self.gain, out, |x, gain| x.mul(factor).mul(gain));
        }
    }
}

/// `1 / sqrt(mean(x^2) + epsilon)`; lane `l` sums the squares `l`, `l + 16`, ...
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "a row has far fewer than 2^24 numbers")]
fn factor<S: Simd>(x: &[f32], epsilon: f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut squares = S::zero();
    for chunk in chunks {
        let numbers = S::load(chunk);
        squares = numbers.fma(numbers, squares);
    }
    let numbers: S = load_rest(rest);
    let sum = numbers.fma(numbers, squares).sum();
    1.0 / (sum / x.len() as f32 + epsilon).sqrt()
}
