//! From blocks to float32.

use half::{bf16, f16};

use crate::block::dequantize as blocks;
use crate::error::check;
use crate::formats::from_plain;
use crate::{
    BlockError, BlockFormat, BlockIq4Nl, BlockIq4Xs, BlockMxfp4, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1,
    BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
};

/// Writes the numbers that `bytes` holds in `format` to `out`: the same bits as `gguf.quants.dequantize`.
///
/// # Errors
/// [`BlockError`] when `bytes` is not the size of `out.len()` numbers; nothing is written then.
pub fn dequantize(format: BlockFormat, bytes: &[u8], out: &mut [f32]) -> Result<(), BlockError> {
    check(format, out.len(), bytes.len())?;
    match format {
        BlockFormat::F32 => from_plain(bytes, out, f32::from_le_bytes),
        BlockFormat::F16 => from_plain(bytes, out, |raw| f16::from_le_bytes(raw).to_f32()),
        BlockFormat::BF16 => from_plain(bytes, out, |raw| bf16::from_le_bytes(raw).to_f32()),
        BlockFormat::Q4_0 => return blocks::<BlockQ4_0, _, _>(bytes, out),
        BlockFormat::Q4_1 => return blocks::<BlockQ4_1, _, _>(bytes, out),
        BlockFormat::Q5_0 => return blocks::<BlockQ5_0, _, _>(bytes, out),
        BlockFormat::Q5_1 => return blocks::<BlockQ5_1, _, _>(bytes, out),
        BlockFormat::Q8_0 => return blocks::<BlockQ8_0, _, _>(bytes, out),
        BlockFormat::Q2_K => return blocks::<BlockQ2K, _, _>(bytes, out),
        BlockFormat::Q3_K => return blocks::<BlockQ3K, _, _>(bytes, out),
        BlockFormat::Q4_K => return blocks::<BlockQ4K, _, _>(bytes, out),
        BlockFormat::Q5_K => return blocks::<BlockQ5K, _, _>(bytes, out),
        BlockFormat::Q6_K => return blocks::<BlockQ6K, _, _>(bytes, out),
        BlockFormat::IQ4_NL => return blocks::<BlockIq4Nl, _, _>(bytes, out),
        BlockFormat::IQ4_XS => return blocks::<BlockIq4Xs, _, _>(bytes, out),
        BlockFormat::MXFP4 => return blocks::<BlockMxfp4, _, _>(bytes, out),
    }
    Ok(())
}
