//! Memory of exact size, aligned to cache lines.

use bytemuck::{Pod, Zeroable};
use mains_contract::{Bytes, DriverError};

/// Bytes of a cache line, and of the widest vector register.
pub(crate) const LINE_BYTES: usize = 64;
/// Float32 numbers in a line.
pub(crate) const LINE_NUMBERS: usize = LINE_BYTES / size_of::<f32>();

/// One cache line.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; LINE_BYTES]);

/// A number of whole cache lines.
#[derive(Default)]
pub(crate) struct Arena {
    lines: Vec<Line>,
}

impl Arena {
    /// Zeroed memory of `bytes`, a multiple of a line. All of it is touched, so that it is there when a step needs it.
    ///
    /// # Errors
    /// [`DriverError::OutOfMemory`] with `what` it was for.
    pub(crate) fn new(bytes: usize, what: &'static str) -> Result<Self, DriverError> {
        Ok(Self {
            lines: zeroed(bytes.div_ceil(LINE_BYTES), what)?,
        })
    }

    pub(crate) fn size(&self) -> Bytes {
        Bytes::from(self.lines.len().saturating_mul(LINE_BYTES))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.lines)
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }

    pub(crate) fn numbers(&self) -> &[f32] {
        bytemuck::cast_slice(&self.lines)
    }

    pub(crate) fn numbers_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }
}

/// `count` zeros of `T` in exactly that much memory.
///
/// # Errors
/// [`DriverError::OutOfMemory`] with `what` it was for.
pub(crate) fn zeroed<T: Pod>(count: usize, what: &'static str) -> Result<Vec<T>, DriverError> {
    let mut numbers = Vec::new();
    numbers
        .try_reserve_exact(count)
        .map_err(|_| DriverError::OutOfMemory {
            what,
            bytes: (count as u64).saturating_mul(size_of::<T>() as u64),
        })?;
    numbers.resize(count, T::zeroed());
    Ok(numbers)
}

/// `count` float32 numbers rounded up to whole lines: the distance between rows of a value.
pub(crate) const fn padded(count: usize) -> usize {
    count.next_multiple_of(LINE_NUMBERS)
}

#[cfg(test)]
mod tests {
    use super::{Arena, Bytes, DriverError, zeroed};

    #[test]
    fn lines_are_aligned_and_counted() {
        let arena = Arena::new(130, "test").unwrap();
        assert_eq!(arena.size(), Bytes(192));
        assert!(arena.bytes().as_ptr().addr().is_multiple_of(64));
    }

    #[test]
    fn too_much_is_an_error() {
        let error = zeroed::<f32>(usize::MAX / 8, "a test").unwrap_err();
        assert!(matches!(error, DriverError::OutOfMemory { what: "a test", .. }));
    }
}
