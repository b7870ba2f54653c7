//! From float32 to blocks.

use crate::block::Quantize;
use crate::error::{check, check_importance};
use crate::formats::to_plain;
use crate::{
    BlockError, BlockFormat, BlockIq4Nl, BlockIq4Xs, BlockMxfp4, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1,
    BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
};

/// Writes `numbers` to `out` in `format`, all of them equally important: [`quantize_weighted`] without importance.
///
/// # Errors
/// As [`quantize_weighted`].
pub fn quantize(format: BlockFormat, numbers: &[f32], out: &mut [u8]) -> Result<(), BlockError> {
    quantize_weighted(format, numbers, None, out)
}

/// Writes `numbers` to `out` in `format`.
///
/// F16 and BF16 round to nearest, ties to even; Q8_0 rounds halves away from zero, as ggml does. The others search each
/// sub-block's scale (and minimum) for the least squared error, weighted by `importance`: what an error in each number
/// costs, relative to the others of its block. It has the length of `numbers`, or of one row that all rows share.
///
/// # Errors
/// [`BlockError`] when `out` is not the size of that many numbers or the importance does not suit them (nothing is written
/// then), or when a number is not finite or beyond the format's range. F32 and BF16 hold everything.
pub fn quantize_weighted(
    format: BlockFormat,
    numbers: &[f32],
    importance: Option<&[f32]>,
    out: &mut [u8],
) -> Result<(), BlockError> {
    check(format, numbers.len(), out.len())?;
    let weights = importance.unwrap_or_default();
    check_importance(format, numbers.len(), importance)?;
    match format {
        BlockFormat::F32 | BlockFormat::F16 | BlockFormat::BF16 => to_plain(format, numbers, out),
        BlockFormat::Q4_0 => blocks::<BlockQ4_0, _>(format, numbers, weights, out),
        BlockFormat::Q4_1 => blocks::<BlockQ4_1, _>(format, numbers, weights, out),
        BlockFormat::Q5_0 => blocks::<BlockQ5_0, _>(format, numbers, weights, out),
        BlockFormat::Q5_1 => blocks::<BlockQ5_1, _>(format, numbers, weights, out),
        BlockFormat::Q8_0 => blocks::<BlockQ8_0, _>(format, numbers, weights, out),
        BlockFormat::Q2_K => blocks::<BlockQ2K, _>(format, numbers, weights, out),
        BlockFormat::Q3_K => blocks::<BlockQ3K, _>(format, numbers, weights, out),
        BlockFormat::Q4_K => blocks::<BlockQ4K, _>(format, numbers, weights, out),
        BlockFormat::Q5_K => blocks::<BlockQ5K, _>(format, numbers, weights, out),
        BlockFormat::Q6_K => blocks::<BlockQ6K, _>(format, numbers, weights, out),
        BlockFormat::IQ4_NL => blocks::<BlockIq4Nl, _>(format, numbers, weights, out),
        BlockFormat::IQ4_XS => blocks::<BlockIq4Xs, _>(format, numbers, weights, out),
        BlockFormat::MXFP4 => blocks::<BlockMxfp4, _>(format, numbers, weights, out),
    }
}

/// Quantizes block by block; no `importance` when it is empty.
fn blocks<B: Quantize<LEN>, const LEN: usize>(
    format: BlockFormat,
    numbers: &[f32],
    importance: &[f32],
    out: &mut [u8],
) -> Result<(), BlockError> {
    let found = out.len();
    let out: &mut [B] =
        bytemuck::try_cast_slice_mut(out).map_err(|_| BlockError::PartialBytes { format, found })?;
    let mut importance = importance.as_chunks().0.iter().cycle();
    for (index, (block, numbers)) in out.iter_mut().zip(numbers.as_chunks().0).enumerate() {
        let (worst, value) = worst(numbers);
        let weights = importance.next();
        let quantized = if value.is_finite() {
            B::quantize(numbers, weights)
        } else {
            None
        };
        *block = quantized.ok_or(BlockError::Range {
            format,
            index: index * LEN + worst,
            value,
        })?;
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
