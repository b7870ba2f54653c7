//! From float32 to the format of a state.

use super::number::{StateNumber, load_rest, store_rest};
use crate::isa::Kernel;
use crate::simd::{LANES, Simd};

/// Rounds a row.
pub(crate) struct StoreRow<'a, T> {
    pub(crate) x: &'a [f32],
    pub(crate) out: &'a mut [T],
}

impl<T: StateNumber> Kernel for StoreRow<'_, T> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (x, x_rest) = self.x.as_chunks::<LANES>();
        let (out, out_rest) = self.out.as_chunks_mut::<LANES>();
        for (x, out) in x.iter().zip(out) {
            T::store(S::load(x), out);
        }
        store_rest::<S, T>(load_rest(x_rest), out_rest);
    }
}
