//! From float32 to blocks.

use half::{bf16, f16};

use crate::error::check;
use crate::layout::view_blocks_mut;
use crate::{BlockError, BlockFormat, BlockQ8_0, q4_k};

/// Writes `numbers` to `out` in `format`.
///
/// F16 and BF16 round to nearest, ties to even; Q8_0 rounds halves away from zero, as ggml does; Q4_K searches each
/// sub-block's scale and minimum for the least weighted squared error.
///
/// # Errors
/// [`BlockError`] when `out` is not the size of that many numbers (nothing is written then), or when a number is not
/// finite or beyond the format's range. F32 and BF16 hold everything.
pub fn quantize(format: BlockFormat, numbers: &[f32], out: &mut [u8]) -> Result<(), BlockError> {
    check(format, numbers.len(), out.len())?;
    match format {
        BlockFormat::F32 => {
            for (raw, number) in out.as_chunks_mut().0.iter_mut().zip(numbers) {
                *raw = number.to_le_bytes();
            }
        }
        BlockFormat::BF16 => {
            for (raw, number) in out.as_chunks_mut().0.iter_mut().zip(numbers) {
                *raw = bf16::from_f32(*number).to_le_bytes();
            }
        }
        BlockFormat::F16 => {
            for (index, (raw, number)) in out.as_chunks_mut().0.iter_mut().zip(numbers).enumerate() {
                let rounded = f16::from_f32(*number);
                if !rounded.is_finite() {
                    return Err(range(format, index, *number));
                }
                *raw = rounded.to_le_bytes();
            }
        }
        BlockFormat::Q8_0 => blocks(format, numbers, view_blocks_mut(format, out)?, q8_0)?,
        BlockFormat::Q4_K => blocks(
            format,
            numbers,
            view_blocks_mut(format, out)?,
            q4_k::quantize_block,
        )?,
    }
    Ok(())
}

/// Quantizes block by block; `one` gives `None` when a scale does not fit its f16.
fn blocks<const LEN: usize, B>(
    format: BlockFormat,
    numbers: &[f32],
    out: &mut [B],
    one: impl Fn(&[f32; LEN]) -> Option<B>,
) -> Result<(), BlockError> {
    for (index, (block, numbers)) in out.iter_mut().zip(numbers.as_chunks().0).enumerate() {
        let (worst, value) = worst(numbers);
        let quantized = if value.is_finite() { one(numbers) } else { None };
        *block = quantized.ok_or_else(|| range(format, index * LEN + worst, value))?;
    }
    Ok(())
}

/// The first number that is not finite, or else the one of largest magnitude.
fn worst(numbers: &[f32]) -> (usize, f32) {
    let mut worst = (0, 0.0_f32);
    for (index, number) in numbers.iter().enumerate() {
        if !number.is_finite() {
            return (index, *number);
        }
        if number.abs() > worst.1.abs() {
            worst = (index, *number);
        }
    }
    worst
}

fn q8_0(numbers: &[f32; 32]) -> Option<BlockQ8_0> {
    let largest = numbers
        .iter()
        .fold(0.0_f32, |largest, number| largest.max(number.abs()));
    let scale = largest / 127.0;
    let stored = f16::from_f32(scale);
    if !stored.is_finite() {
        return None;
    }
    // The reciprocal of the unrounded scale, as in ggml: files made elsewhere from the same numbers are the same bytes.
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 127 in magnitude; an infinite inverse saturates"
    )]
    let quants = numbers.map(|number| (number * inverse).round() as i8);
    Some(BlockQ8_0 {
        scale: stored.to_le_bytes(),
        quants,
    })
}

fn range(format: BlockFormat, index: usize, value: f32) -> BlockError {
    BlockError::Range { format, index, value }
}
