//! From blocks to float32.

use half::{bf16, f16};

use crate::error::check;
use crate::layout::view_blocks;
use crate::{BlockError, BlockFormat, BlockQ4K, BlockQ8_0, Q4_K_SUB_LEN};

/// Writes the numbers that `bytes` holds in `format` to `out`: the same bits as `gguf.quants.dequantize`.
///
/// # Errors
/// [`BlockError`] when `bytes` is not the size of `out.len()` numbers; nothing is written then.
pub fn dequantize(format: BlockFormat, bytes: &[u8], out: &mut [f32]) -> Result<(), BlockError> {
    check(format, out.len(), bytes.len())?;
    match format {
        BlockFormat::F32 => {
            for (number, raw) in out.iter_mut().zip(bytes.as_chunks().0) {
                *number = f32::from_le_bytes(*raw);
            }
        }
        BlockFormat::F16 => {
            for (number, raw) in out.iter_mut().zip(bytes.as_chunks().0) {
                *number = f16::from_le_bytes(*raw).to_f32();
            }
        }
        BlockFormat::BF16 => {
            for (number, raw) in out.iter_mut().zip(bytes.as_chunks().0) {
                *number = bf16::from_le_bytes(*raw).to_f32();
            }
        }
        BlockFormat::Q8_0 => {
            let blocks: &[BlockQ8_0] = view_blocks(format, bytes)?;
            for (block, numbers) in blocks.iter().zip(out.as_chunks_mut().0) {
                q8_0(block, numbers);
            }
        }
        BlockFormat::Q4_K => {
            let blocks: &[BlockQ4K] = view_blocks(format, bytes)?;
            for (block, numbers) in blocks.iter().zip(out.as_chunks_mut().0) {
                q4_k(block, numbers);
            }
        }
    }
    Ok(())
}

fn q8_0(block: &BlockQ8_0, numbers: &mut [f32; 32]) {
    let scale = block.scale();
    for (number, quant) in numbers.iter_mut().zip(block.quants) {
        *number = scale * f32::from(quant);
    }
}

fn q4_k(block: &BlockQ4K, numbers: &mut [f32; 256]) {
    let (scales, mins) = block.sub_scales();
    for (sub, numbers) in numbers.chunks_exact_mut(Q4_K_SUB_LEN).enumerate() {
        let scale = block.scale() * f32::from(scales[sub]);
        let min = block.min() * f32::from(mins[sub]);
        let shift = 4 * (sub % 2);
        let quants = &block.quants[sub / 2 * Q4_K_SUB_LEN..][..Q4_K_SUB_LEN];
        for (number, quant) in numbers.iter_mut().zip(quants) {
            *number = scale * f32::from(quant >> shift & 0x0f) - min;
        }
    }
}
