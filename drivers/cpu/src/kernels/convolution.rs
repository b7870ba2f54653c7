//! Short causal convolution along a sequence, each number by itself.

use mains_contract::Activation;

use super::elementwise::Function;
use super::number::map_chunks;
use crate::isa::Kernel;
use crate::simd::Simd;

/// One row of some channels: `out[c] = sum_j weights[c][j] * rows[j][c]`, in the order of `j`.
pub(crate) struct Convolve<'a, F> {
    /// The numbers of these channels `kernel - 1 - j` tokens ago.
    pub(crate) row: F,
    /// Channels x kernel.
    pub(crate) weights: &'a [f32],
    pub(crate) kernel: usize,
    pub(crate) activation: Option<Activation>,
    /// Working memory, as long as `out`.
    pub(crate) sums: &'a mut [f32],
    pub(crate) out: &'a mut [f32],
}

impl<'a, F: Fn(usize) -> &'a [f32]> Kernel for Convolve<'a, F> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { weights, kernel, .. } = self;
        let sums = if self.activation.is_some() {
            &mut *self.sums
        } else {
            &mut *self.out
        };
        for j in 0..kernel {
            for (channel, (sum, x)) in sums.iter_mut().zip((self.row)(j)).enumerate() {
                let weight = weights[channel * kernel + j];
                *sum = if j == 0 {
                    weight * x
                } else {
                    weight.mul_add(*x, *sum)
                };
            }
        }
        if let Some(activation) = self.activation {
            map_chunks::<S>(self.sums, self.out, Function::Activation(activation));
        }
    }
}
