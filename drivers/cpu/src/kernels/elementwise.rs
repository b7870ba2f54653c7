//! Number by number.

use mains_contract::Activation;

use super::math::{activate, gate, tanh};
use super::number::{OfOne, OfTwo, map_chunks, update_chunks, zip_chunks};
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

impl<S: Simd> OfOne<S> for Function {
    #[inline(always)]
    fn call(&self, x: S) -> S {
        match *self {
            Self::Activation(activation) => activate(activation, x),
            Self::Scale(factor) => x.mul(S::splat(factor)),
            Self::SoftCap(cap) => soft_cap(cap, x),
        }
    }
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
        map_chunks::<S>(self.x, self.out, self.function);
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

impl<S: Simd> OfTwo<S> for Pairing {
    #[inline(always)]
    fn call(&self, a: S, b: S) -> S {
        match *self {
            Self::Sum => a.add(b),
            Self::Product => a.mul(b),
            Self::Gate(activation) => gate(activation, a, b),
        }
    }
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
        zip_chunks::<S>(self.a, self.b, self.out, self.pairing);
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
            map_chunks::<S>(x, out, Function::Scale(*factor));
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
            update_chunks::<S>(self.out, x, |sum: S, x: S| x.fma(S::splat(*factor), sum));
        }
    }
}
