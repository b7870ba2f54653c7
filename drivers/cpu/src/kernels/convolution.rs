//! Short causal convolution along a sequence, each number by itself.

use mains_contract::Activation;

use super::elementwise::Function;
use super::number::{add_products, map_chunks, zip_chunks};
use crate::isa::Kernel;
use crate::simd::Simd;

/// One row of some channels: `out[c] = sum_j weights[j][c] * rows[j][c]`, in the order of `j`.
pub(crate) struct Convolve<'a, F, W> {
    /// The numbers of these channels `kernel - 1 - j` tokens ago.
    pub(crate) row: F,
    /// Their weights for it.
    pub(crate) weights: W,
    pub(crate) kernel: usize,
    pub(crate) activation: Option<Activation>,
    /// Working memory, as long as `out`.
    pub(crate) sums: &'a mut [f32],
    pub(crate) out: &'a mut [f32],
}

impl<'a, F: Fn(usize) -> &'a [f32], W: Fn(usize) -> &'a [f32]> Kernel for Convolve<'a, F, W> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let sums = if self.activation.is_some() {
            &mut *self.sums
        } else {
            &mut *self.out
        };
        zip_chunks::<S>((self.row)(0), (self.weights)(0), sums, |x: S, weight: S| {
            x.mul(weight)
        });
        for j in 1..self.kernel {
            add_products::<S>((self.row)(j), (self.weights)(j), sums);
        }
        if let Some(activation) = self.activation {
            map_chunks::<S>(self.sums, self.out, Function::Activation(activation));
        }
    }
}
