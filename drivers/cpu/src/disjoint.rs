//! One output that several threads write, each its own part.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice lent to several threads that keep to parts of it which do not overlap.
pub(crate) struct Disjoint<'a, T> {
    start: *mut T,
    len: usize,
    lent: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a `&mut [T]` whose parts may be used on other threads; `part` obliges its callers to keep them apart.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            lent: PhantomData,
        }
    }

    /// The part at `range`.
    ///
    /// # Panics
    /// When `range` is beyond the slice.
    ///
    /// # Safety
    /// No two parts that are alive at the same time may overlap.
    #[inline(always)]
    #[expect(
        clippy::mut_from_ref,
        reason = "the caller promises that parts do not overlap"
    )]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "a part beyond its slice"
        );
        // SAFETY: the range is inside the slice that `new` borrowed for `'a`, and the caller keeps parts apart.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.end - range.start) }
    }
}
