//! A tensor in a file.

use mains_blocks::BlockFormat;

/// A tensor's shape and bytes, in the file's own name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tensor<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// How its numbers are stored.
    pub format: BlockFormat,
    /// Lengths of the dimensions, outermost first (GGUF files hold them innermost first); empty for a single number.
    pub dims: &'a [usize],
    /// Rows: the product of all dimensions but the innermost; 1 for a vector.
    pub rows: usize,
    /// Numbers in a row: the innermost dimension.
    pub cols: usize,
    /// `rows * format.row_bytes(cols)` bytes, rows one after the other.
    pub bytes: &'a [u8],
}
