//! Typed views of blocks, as they lie in a file. All have alignment 1, so that any byte slice can be viewed.

use bytemuck::{Pod, Zeroable};
use half::f16;

use crate::{BlockError, BlockFormat};

/// Numbers in a sub-block of Q4_K.
pub const Q4_K_SUB_LEN: usize = 32;
/// Sub-blocks in a block of Q4_K.
pub const Q4_K_SUB_BLOCKS: usize = 8;

/// 32 numbers: `number = scale * quant` (ggml-common.h, `block_q8_0`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ8_0 {
    /// The scale, a little-endian f16.
    pub scale: [u8; 2],
    /// The quants.
    pub quants: [i8; 32],
}

/// 256 numbers in 8 sub-blocks of 32: `number = scale * sub_scale * quant - min * sub_min`, with quants of 4 bits and
/// sub-scales and sub-minima of 6 (ggml-common.h, `block_q4_K`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ4K {
    /// The scale of the sub-scales, a little-endian f16.
    pub scale: [u8; 2],
    /// The scale of the sub-minima, a little-endian f16.
    pub min: [u8; 2],
    /// 8 sub-scales and 8 sub-minima; see [`BlockQ4K::sub_scales`].
    pub packed: [u8; 12],
    /// Byte `32 * p + i` holds number `i` of sub-block `2p` in its low half and of sub-block `2p + 1` in its high half.
    pub quants: [u8; 128],
}

const _: () = assert!(size_of::<BlockQ8_0>() == BlockFormat::Q8_0.block_bytes());
const _: () = assert!(size_of::<BlockQ4K>() == BlockFormat::Q4_K.block_bytes());

impl BlockQ8_0 {
    /// Views bytes as blocks.
    ///
    /// # Errors
    /// [`BlockError::PartialBytes`] when they are no whole number of blocks.
    pub fn from_bytes(bytes: &[u8]) -> Result<&[Self], BlockError> {
        view_blocks(BlockFormat::Q8_0, bytes)
    }

    /// The scale as f32.
    #[must_use]
    pub fn scale(&self) -> f32 {
        f16::from_le_bytes(self.scale).to_f32()
    }
}

impl BlockQ4K {
    /// Views bytes as blocks.
    ///
    /// # Errors
    /// [`BlockError::PartialBytes`] when they are no whole number of blocks.
    pub fn from_bytes(bytes: &[u8]) -> Result<&[Self], BlockError> {
        view_blocks(BlockFormat::Q4_K, bytes)
    }

    /// The scale of the sub-scales as f32.
    #[must_use]
    pub fn scale(&self) -> f32 {
        f16::from_le_bytes(self.scale).to_f32()
    }

    /// The scale of the sub-minima as f32.
    #[must_use]
    pub fn min(&self) -> f32 {
        f16::from_le_bytes(self.min).to_f32()
    }

    /// Sub-scales and sub-minima, each 0..=63, by sub-block.
    ///
    /// Bytes 0..4 and 4..8 hold the low 6 bits of sub-blocks 0..4 (scales, then minima) with two upper bits of sub-blocks
    /// 4..8 above them; bytes 8..12 hold the low 4 bits of sub-blocks 4..8, the scale below the minimum.
    #[must_use]
    pub fn sub_scales(&self) -> ([u8; Q4_K_SUB_BLOCKS], [u8; Q4_K_SUB_BLOCKS]) {
        let mut scales = [0; Q4_K_SUB_BLOCKS];
        let mut mins = [0; Q4_K_SUB_BLOCKS];
        for sub in 0..4 {
            let (scale, min, both) = (self.packed[sub], self.packed[sub + 4], self.packed[sub + 8]);
            scales[sub] = scale & 0x3f;
            mins[sub] = min & 0x3f;
            scales[sub + 4] = (both & 0x0f) | (scale >> 6) << 4;
            mins[sub + 4] = (both >> 4) | (min >> 6) << 4;
        }
        (scales, mins)
    }

    /// The 12 bytes for [`BlockQ4K::packed`]; of each value only the low 6 bits count.
    #[must_use]
    pub fn pack_sub_scales(scales: [u8; Q4_K_SUB_BLOCKS], mins: [u8; Q4_K_SUB_BLOCKS]) -> [u8; 12] {
        let mut packed = [0; 12];
        for sub in 0..4 {
            let (high_scale, high_min) = (scales[sub + 4] & 0x3f, mins[sub + 4] & 0x3f);
            packed[sub] = scales[sub] & 0x3f | (high_scale >> 4) << 6;
            packed[sub + 4] = mins[sub] & 0x3f | (high_min >> 4) << 6;
            packed[sub + 8] = high_scale & 0x0f | (high_min & 0x0f) << 4;
        }
        packed
    }
}

/// Views bytes as blocks of `format`, whose type the caller chose.
pub(crate) fn view_blocks<T: Pod>(format: BlockFormat, bytes: &[u8]) -> Result<&[T], BlockError> {
    bytemuck::try_cast_slice(bytes).map_err(|_| BlockError::PartialBytes {
        format,
        found: bytes.len(),
    })
}

/// Views bytes as blocks of `format` to write, whose type the caller chose.
pub(crate) fn view_blocks_mut<T: Pod>(format: BlockFormat, bytes: &mut [u8]) -> Result<&mut [T], BlockError> {
    let found = bytes.len();
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| BlockError::PartialBytes { format, found })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BlockQ4K, BlockQ8_0};

    proptest! {
        #[test]
        fn packing_sub_scales_is_a_bijection(packed: [u8; 12]) {
            let block = BlockQ4K { scale: [0; 2], min: [0; 2], packed, quants: [0; 128] };
            let (scales, mins) = block.sub_scales();
            prop_assert!(scales.iter().chain(&mins).all(|value| *value < 64));
            prop_assert_eq!(BlockQ4K::pack_sub_scales(scales, mins), packed);
        }
    }

    #[test]
    fn a_view_needs_whole_blocks_and_no_alignment() {
        let bytes = [0_u8; 69];
        assert_eq!(BlockQ8_0::from_bytes(&bytes[1..]).map(<[_]>::len), Ok(2));
        let error = BlockQ8_0::from_bytes(&bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "69 bytes are no whole number of Q8_0 blocks of 34 bytes"
        );
    }
}
