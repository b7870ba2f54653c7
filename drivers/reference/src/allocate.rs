//! Memory of exact size, or an error instead of an abort.

use bytemuck::Zeroable;
use mains_contract::DriverError;

/// `count` zeros of `T` in exactly that much memory.
///
/// # Errors
/// [`DriverError::OutOfMemory`] with `what` it was for.
pub(crate) fn allocate<T: Zeroable + Copy>(count: usize, what: &'static str) -> Result<Vec<T>, DriverError> {
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
