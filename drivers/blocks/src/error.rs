//! What can be wrong with a call.

use crate::BlockFormat;

/// Bytes and numbers that do not belong together, or numbers that a format can not hold.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BlockError {
    /// A count of numbers is no whole number of blocks.
    #[error("{numbers} numbers are no whole number of {format} blocks of {}", format.block_len())]
    PartialBlock {
        /// The format asked for.
        format: BlockFormat,
        /// Numbers given.
        numbers: usize,
    },
    /// The bytes are not those of that many numbers.
    #[error("{numbers} numbers in {format} take {expected} bytes, not {found}")]
    Bytes {
        /// The format asked for.
        format: BlockFormat,
        /// Numbers given.
        numbers: usize,
        /// Bytes that they take.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Bytes that are no whole number of blocks.
    #[error("{found} bytes are no whole number of {format} blocks of {} bytes", format.block_bytes())]
    PartialBytes {
        /// The format asked for.
        format: BlockFormat,
        /// Bytes given.
        found: usize,
    },
    /// A number that is an infinity, a NaN or beyond the range of the format.
    #[error("number {index} is {value}, which {format} can not hold; keep this tensor in F32 or BF16")]
    Range {
        /// The format asked for.
        format: BlockFormat,
        /// Its index in the input.
        index: usize,
        /// The number.
        value: f32,
    },
    /// An importance for other numbers than these.
    #[error(
        "an importance of {found} values is for no whole number of rows in {numbers} numbers, or for no whole number of \
         {format} blocks of {}",
        format.block_len()
    )]
    ImportanceLength {
        /// The format asked for.
        format: BlockFormat,
        /// Numbers given.
        numbers: usize,
        /// Values given.
        found: usize,
    },
    /// An importance that is negative or not finite.
    #[error("the importance of number {index} is {value}; it should be finite and not negative")]
    Importance {
        /// Its index in the importance.
        index: usize,
        /// The value.
        value: f32,
    },
}

/// Checks that `bytes` is the size of `numbers` numbers in `format`.
pub(crate) fn check(format: BlockFormat, numbers: usize, bytes: usize) -> Result<(), BlockError> {
    let expected = format
        .row_bytes(numbers)
        .ok_or(BlockError::PartialBlock { format, numbers })?;
    if expected == bytes {
        Ok(())
    } else {
        Err(BlockError::Bytes {
            format,
            numbers,
            expected,
            found: bytes,
        })
    }
}

/// Checks that `importance` is for rows of whole blocks of which `numbers` are a whole number, and that it can be summed.
pub(crate) fn check_importance(
    format: BlockFormat,
    numbers: usize,
    importance: Option<&[f32]>,
) -> Result<(), BlockError> {
    let Some(importance) = importance else {
        return Ok(());
    };
    let found = importance.len();
    if found == 0 || !numbers.is_multiple_of(found) || !found.is_multiple_of(format.block_len()) {
        return Err(BlockError::ImportanceLength {
            format,
            numbers,
            found,
        });
    }
    let bad = |value: &f32| !value.is_finite() || *value < 0.0;
    match importance.iter().position(bad) {
        Some(index) => Err(BlockError::Importance {
            index,
            value: importance[index],
        }),
        None => Ok(()),
    }
}
