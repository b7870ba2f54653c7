//! From float32 to what a state is kept in.

use mains_blocks::rotate;

use super::cached::Cached;
use crate::isa::Kernel;
use crate::simd::Simd;

/// Rounds a row.
pub(crate) struct StoreRow<'a, T> {
    pub(crate) x: &'a [f32],
    pub(crate) out: &'a mut [T],
    /// Numbers that are rotated together before, and room for some groups of them.
    pub(crate) rotation: Option<(usize, &'a mut [f32])>,
}

impl<T: Cached> Kernel for StoreRow<'_, T> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Some((size, room)) = self.rotation else {
            T::store::<S>(self.x, self.out);
            return;
        };
        let room = &mut room[..size];
        for (x, out) in self
            .x
            .chunks_exact(size)
            .zip(self.out.chunks_exact_mut(size / T::NUMBERS))
        {
            room.copy_from_slice(x);
            rotate(room, size);
            T::store::<S>(room, out);
        }
    }
}
