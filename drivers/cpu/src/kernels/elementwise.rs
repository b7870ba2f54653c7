//! Number by number.

use mains_contract::Activation;

use super::math::{activate, gate, tanh};
use super::number::{map_chunks, zip_chunks};
use crate::isa::Kernel;
use crate::simd::Simd;

/// A function of one number.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    Activation(Activation),
    /// Times a factor.
    Scale(f32),
    /// `cap * tanh(x / cap)`.
    SoftCap(f32),
}

/// A function of each number of a row.
pub(crate) struct Map<'a> {
    pub(crate) function: Function,
    pub(crate) x: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Kernel for Map<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        match self.function {
            Function::Activation(activation) => {
                map_chunks::<S>(self.x, self.out, |x| activate(activation, x));
            }
            Function::Scale(factor) => map_chunks::<S>(self.x, self.out, |x| x.mul(S::splat(factor))),
            Function::SoftCap(cap) => map_chunks::<S>(self.x, self.out, |x| soft_cap(cap, x)),
        }
    }
}

/// `cap * tanh(x / cap)`.
#[inline(always)]
pub(crate) fn soft_cap<S: Simd>(cap: f32, x: S) -> S {
    tanh(x.div(S::splat(cap))).mul(S::splat(cap))
}

/// A function of two numbers.
#[derive(Clone, Copy)]
pub(crate) enum Pairing {
    Sum,
    Product,
    /// An activation of the first, times the second.
    Gate(Activation),
}

/// A function of each number of a row and its fellow in another.
pub(crate) struct Zip<'a> {
    pub(crate) pairing: Pairing,
    pub(crate) a: &'a [f32],
    pub(crate) b: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Kernel for Zip<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        match self.pairing {
            Pairing::Sum => zip_chunks::<S>(self.a, self.b, self.out, S::add),
            Pairing::Product => zip_chunks::<S>(self.a, self.b, self.out, S::mul),
            Pairing::Gate(activation) => {
                zip_chunks::<S>(self.a, self.b, self.out, |a, b| gate(activation, a, b));
            }
        }
    }
}

/// A row in equal groups, each times its own number.
pub(crate) struct ScaleGroups<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) factors: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Kernel for ScaleGroups<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let group = self.x.len() / self.factors.len();
        let groups = self.x.chunks_exact(group).zip(self.out.chunks_exact_mut(group));
        for ((x, out), factor) in groups.zip(self.factors) {
            map_chunks::<S>(x, out, |x| x.mul(S::splat(*factor)));
        }
    }
}

/// The sum of the groups of a row, each times its own number, in their order.
pub(crate) struct CombineGroups<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) factors: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Kernel for CombineGroups<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        self.out.fill(0.0);
        let groups = self.x.chunks_exact(self.out.len());
        for (x, factor) in groups.zip(self.factors) {
            super::number::update_chunks::<S>(self.out, x, |sum, x| x.fma(S::splat(*factor), sum));
        }
    }
}
