//! The names, sizes and published ids of block formats.

use std::fmt;

/// How the numbers of one tensor are stored: plain, or in blocks that share scales.
///
/// Layouts are those of GGUF (ggml `ggml-common.h`); [`crate`] holds the one definition of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(non_camel_case_types, reason = "the field's own names")]
pub enum BlockFormat {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// Brain float: the upper half of a binary32.
    BF16,
    /// 32 int8 values with one f16 scale.
    Q8_0,
    /// 256 4-bit values in 8 sub-blocks with 6-bit scales and minima.
    Q4_K,
}

impl BlockFormat {
    /// Every format, in the order of growing GGUF type ids.
    pub const ALL: [Self; 5] = [Self::F32, Self::F16, Self::Q8_0, Self::Q4_K, Self::BF16];

    /// Numbers in one block; a row's length is a multiple of it.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 => 32,
            Self::Q4_K => 256,
        }
    }

    /// Bytes of one block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_K => 144,
        }
    }

    /// Bytes of a row of `cols` numbers, or `None` when no whole number of blocks makes such a row.
    #[must_use]
    pub const fn row_bytes(self, cols: usize) -> Option<usize> {
        if cols.is_multiple_of(self.block_len()) {
            (cols / self.block_len()).checked_mul(self.block_bytes())
        } else {
            None
        }
    }

    /// Whether weights in this format are quantized: only then may activations be int8.
    #[must_use]
    pub const fn is_quantized(self) -> bool {
        matches!(self, Self::Q8_0 | Self::Q4_K)
    }

    /// The field's name, as GGUF tools print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_K => "Q4_K",
        }
    }

    /// The format with the field's name `name`, or `None` when it is not one of ours.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The type id in a GGUF tensor record (ggml.h, `enum ggml_type`).
    #[must_use]
    pub const fn gguf_id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q8_0 => 8,
            Self::Q4_K => 12,
            Self::BF16 => 30,
        }
    }

    /// The format with the GGUF type id `id`, or `None` when it is not one of ours.
    #[must_use]
    pub fn from_gguf_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.gguf_id() == id)
    }
}

impl fmt::Display for BlockFormat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
