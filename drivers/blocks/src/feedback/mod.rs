//! Quantizing with error feedback: codes that make the error in a matrix's outputs small, not the error in its weights.
//!
//! With `H` the second moments of a matrix's inputs, an error `e` in one of its rows costs `e' H e`. Columns are rounded one
//! after the other, each to what the errors before it ask for (the nearest plane of Babai 1986, which GPTQ is: Frantar et al.
//! 2022, Chen et al. 2025), after the weighted search has fixed the scales of its block on what is asked for. Then single codes
//! are moved by coordinate descent until none can be moved for the better. What it makes are ordinary blocks of the format.

mod codes;
mod factor;
mod rows;
mod run;

pub(crate) use codes::{Codes, whole};
pub use factor::Factor;

use crate::error::check;
use crate::{
    BlockError, BlockFormat, BlockIq4Nl, BlockIq4Xs, BlockMxfp4, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1,
    BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0, quantize,
};
use rows::blocks;

/// Writes rows of `numbers` to `out` in `format`, as [`quantize_weighted`](crate::quantize_weighted) does, with the least error
/// in the products with inputs whose moments `factors` are: of runs of columns, one after the other, that make up a row.
/// A run's error is never larger than that of the weighted search alone. Plain formats have no codes to choose.
///
/// # Errors
/// As [`quantize_weighted`](crate::quantize_weighted); [`BlockError::ImportanceLength`] when the factors' columns are no whole
/// blocks or `numbers` no whole number of such rows.
pub fn quantize_with_feedback(
    format: BlockFormat,
    numbers: &[f32],
    factors: &[Factor],
    out: &mut [u8],
) -> Result<(), BlockError> {
    check(format, numbers.len(), out.len())?;
    let found = factors.iter().map(Factor::columns).sum();
    let whole = |factor: &Factor| factor.columns().is_multiple_of(format.block_len());
    if found == 0 || !numbers.len().is_multiple_of(found) || !factors.iter().all(whole) {
        let numbers = numbers.len();
        return Err(BlockError::ImportanceLength {
            format,
            numbers,
            found,
        });
    }
    match format {
        BlockFormat::F32 | BlockFormat::F16 | BlockFormat::BF16 => quantize(format, numbers, out),
        BlockFormat::Q4_0 => blocks::<BlockQ4_0, _, _>(numbers, factors, out),
        BlockFormat::Q4_1 => blocks::<BlockQ4_1, _, _>(numbers, factors, out),
        BlockFormat::Q5_0 => blocks::<BlockQ5_0, _, _>(numbers, factors, out),
        BlockFormat::Q5_1 => blocks::<BlockQ5_1, _, _>(numbers, factors, out),
        BlockFormat::Q8_0 => blocks::<BlockQ8_0, _, _>(numbers, factors, out),
        BlockFormat::Q2_K => blocks::<BlockQ2K, _, _>(numbers, factors, out),
        BlockFormat::Q3_K => blocks::<BlockQ3K, _, _>(numbers, factors, out),
        BlockFormat::Q4_K => blocks::<BlockQ4K, _, _>(numbers, factors, out),
        BlockFormat::Q5_K => blocks::<BlockQ5K, _, _>(numbers, factors, out),
        BlockFormat::Q6_K => blocks::<BlockQ6K, _, _>(numbers, factors, out),
        BlockFormat::IQ4_NL => blocks::<BlockIq4Nl, _, _>(numbers, factors, out),
        BlockFormat::IQ4_XS => blocks::<BlockIq4Xs, _, _>(numbers, factors, out),
        BlockFormat::MXFP4 => blocks::<BlockMxfp4, _, _>(numbers, factors, out),
    }
}
