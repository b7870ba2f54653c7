//! Number by number.

use mains_contract::Activation;

use super::math::silu;
use super::number::zip_chunks;
use crate::isa::Kernel;
use crate::simd::Simd;

/// `activation(gate) * up` of one row.
pub(crate) struct Gated<'a> {
    pub(crate) activation: Activation,
    pub(crate) gate: &'a [f32],
    pub(crate) up: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Kernel for Gated<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        match self.activation {
            Activation::Silu => {
                zip_chunks::<S>(self.gate, self.up, self.out, |gate, up| silu(gate).mul(up));
            }
            other => unreachable!("{other:?} is refused before a load"),
        }
    }
}

/// `a + b` of one row.
pub(crate) struct Add<'a> {
    pub(crate) a: &'a [f32],
    pub(crate) b: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Kernel for Add<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        zip_chunks::<S>(self.a, self.b, self.out, Simd::add);
    }
}
