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
    /// 32 signed 4-bit values with one scale.
    Q4_0,
    /// 32 4-bit values with one scale and one offset.
    Q4_1,
    /// 32 signed 5-bit values with one scale.
    Q5_0,
    /// 32 5-bit values with one scale and one offset.
    Q5_1,
    /// 32 int8 values with one scale.
    Q8_0,
    /// 256 2-bit values in 16 sub-blocks with 4-bit scales and minima.
    Q2_K,
    /// 256 signed 3-bit values in 16 sub-blocks with 6-bit scales.
    Q3_K,
    /// 256 4-bit values in 8 sub-blocks with 6-bit scales and minima.
    Q4_K,
    /// 256 5-bit values in 8 sub-blocks with 6-bit scales and minima.
    Q5_K,
    /// 256 signed 6-bit values in 16 sub-blocks with 8-bit scales.
    Q6_K,
    /// 32 values of a table of 16 uneven levels with one scale.
    IQ4_NL,
    /// 256 values of the table of IQ4_NL in 8 sub-blocks with 6-bit scales.
    IQ4_XS,
    /// Brain float: the upper half of a binary32.
    BF16,
    /// 32 4-bit floats (E2M1) with a power of two as their scale (E8M0).
    MXFP4,
}

/// What the field publishes about a format.
struct Facts {
    name: &'static str,
    gguf_id: u32,
    file_type: u32,
    block_len: usize,
    block_bytes: usize,
}

impl BlockFormat {
    /// Every format, in the order of growing GGUF type ids.
    pub const ALL: [Self; 16] = [
        Self::F32,
        Self::F16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
        Self::IQ4_NL,
        Self::IQ4_XS,
        Self::BF16,
        Self::MXFP4,
    ];

    const fn facts(self) -> Facts {
        let (name, gguf_id, file_type, block_len, block_bytes) = match self {
            Self::F32 => ("F32", 0, 0, 1, 4),
            Self::F16 => ("F16", 1, 1, 1, 2),
            Self::Q4_0 => ("Q4_0", 2, 2, 32, 18),
            Self::Q4_1 => ("Q4_1", 3, 3, 32, 20),
            Self::Q5_0 => ("Q5_0", 6, 8, 32, 22),
            Self::Q5_1 => ("Q5_1", 7, 9, 32, 24),
            Self::Q8_0 => ("Q8_0", 8, 7, 32, 34),
            Self::Q2_K => ("Q2_K", 10, 10, 256, 84),
            Self::Q3_K => ("Q3_K", 11, 11, 256, 110),
            Self::Q4_K => ("Q4_K", 12, 14, 256, 144),
            Self::Q5_K => ("Q5_K", 13, 16, 256, 176),
            Self::Q6_K => ("Q6_K", 14, 18, 256, 210),
            Self::IQ4_NL => ("IQ4_NL", 20, 25, 32, 18),
            Self::IQ4_XS => ("IQ4_XS", 23, 30, 256, 136),
            Self::BF16 => ("BF16", 30, 32, 1, 2),
            Self::MXFP4 => ("MXFP4", 39, 38, 32, 17),
        };
        Facts {
            name,
            gguf_id,
            file_type,
            block_len,
            block_bytes,
        }
    }

    /// Numbers in one block; a row's length is a multiple of it.
    #[must_use]
    pub const fn block_len(self) -> usize {
        self.facts().block_len
    }

    /// Bytes of one block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        self.facts().block_bytes
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

    /// The format that stands in for this one in rows of `cols` numbers: itself where they are whole blocks; or else the one of
    /// 32 numbers a block whose error is no larger, as llama.cpp has it (IQ4_NL for Q2_K, Q3_K and IQ4_XS, Q5_0 for
    /// Q4_K, Q5_1 for Q5_K, Q8_0 for Q6_K). `None` when rows are no whole blocks of 32 either: they stay in 16 bits.
    #[must_use]
    pub fn suited_to(self, cols: usize) -> Option<Self> {
        let smaller = match self {
            Self::Q2_K | Self::Q3_K | Self::IQ4_XS => Self::IQ4_NL,
            Self::Q4_K => Self::Q5_0,
            Self::Q5_K => Self::Q5_1,
            Self::Q6_K => Self::Q8_0,
            _ => self,
        };
        let suits = |format: &Self| format.row_bytes(cols).is_some();
        [self, smaller].into_iter().find(suits)
    }

    /// Whether weights in this format are quantized: only then may activations be int8.
    #[must_use]
    pub const fn is_quantized(self) -> bool {
        self.block_len() > 1
    }

    /// The field's name, as GGUF tools print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The format with the field's name `name`, or `None` when it is not one of ours.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The type id in a GGUF tensor record (ggml.h, `enum ggml_type`).
    #[must_use]
    pub const fn gguf_id(self) -> u32 {
        self.facts().gguf_id
    }

    /// The format with the GGUF type id `id`, or `None` when it is not one of ours.
    #[must_use]
    pub fn from_gguf_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.gguf_id() == id)
    }

    /// What `general.file_type` of a GGUF file says whose matrices are in this format (llama.h, `enum llama_ftype`): the
    /// one that mixes in no larger formats (`Q4_K_S`, not `Q4_K_M`).
    #[must_use]
    pub const fn gguf_file_type(self) -> u32 {
        self.facts().file_type
    }
}

impl fmt::Display for BlockFormat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::BlockFormat;

    #[test]
    fn rows_that_do_not_suit_get_a_smaller_block() {
        use BlockFormat::{IQ4_NL, Q4_K, Q5_0, Q8_0};
        assert_eq!(Q4_K.suited_to(512), Some(Q4_K));
        assert_eq!(Q4_K.suited_to(96), Some(Q5_0));
        assert_eq!(BlockFormat::Q3_K.suited_to(96), Some(IQ4_NL));
        assert_eq!(Q8_0.suited_to(48), None);
        for format in BlockFormat::ALL {
            assert_eq!(format.suited_to(256), Some(format));
            let stands_in = format.suited_to(32).expect("rows of 32 suit some format");
            assert!(stands_in.row_bytes(256) >= format.row_bytes(256), "{format}");
        }
    }

    #[test]
    fn ids_grow_and_find_their_format() {
        assert!(
            BlockFormat::ALL
                .windows(2)
                .all(|pair| pair[0].gguf_id() < pair[1].gguf_id())
        );
        for format in BlockFormat::ALL {
            assert_eq!(BlockFormat::from_gguf_id(format.gguf_id()), Some(format));
            assert_eq!(BlockFormat::from_name(format.name()), Some(format));
        }
        assert_eq!(BlockFormat::from_gguf_id(16), None);
    }
}
