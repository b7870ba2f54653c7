//! The search over the codes of a few rows at a time, so that each line of the moments is read once for all of them.

use super::codes::Codes;
use super::factor::Factor;
use super::run::{Run, descend};
use crate::quantize::Isa;
use crate::{BlockError, quantize_weighted};

/// Rows at a time: with 1,024 columns their numbers fit a level 2 cache.
const ROWS: usize = 16;

/// Quantizes all rows; every instruction set gives the same bits, as none contracts products and sums.
pub(super) fn blocks<B: Codes<LEN, SUBS>, const LEN: usize, const SUBS: usize>(
    numbers: &[f32],
    factors: &[Factor],
    out: &mut [u8],
) -> Result<(), BlockError> {
    match Isa::detect() {
        // SAFETY: `detect` saw the features that the function enables.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { blocks_avx512::<B, LEN, SUBS>(numbers, factors, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { blocks_avx2::<B, LEN, SUBS>(numbers, factors, out) },
        _ => all::<B, LEN, SUBS>(numbers, factors, out),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
fn blocks_avx512<B: Codes<LEN, SUBS>, const LEN: usize, const SUBS: usize>(
    numbers: &[f32],
    factors: &[Factor],
    out: &mut [u8],
) -> Result<(), BlockError> {
    all::<B, LEN, SUBS>(numbers, factors, out)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn blocks_avx2<B: Codes<LEN, SUBS>, const LEN: usize, const SUBS: usize>(
    numbers: &[f32],
    factors: &[Factor],
    out: &mut [u8],
) -> Result<(), BlockError> {
    all::<B, LEN, SUBS>(numbers, factors, out)
}

#[inline(always)]
fn all<B: Codes<LEN, SUBS>, const LEN: usize, const SUBS: usize>(
    numbers: &[f32],
    factors: &[Factor],
    out: &mut [u8],
) -> Result<(), BlockError> {
    let found = out.len();
    let format = B::FORMAT;
    let out: &mut [B] =
        bytemuck::try_cast_slice_mut(out).map_err(|_| BlockError::PartialBytes { format, found })?;
    let cols: usize = factors.iter().map(Factor::columns).sum();
    let per_row = cols / LEN;
    let batches = numbers.chunks(ROWS * cols).zip(out.chunks_mut(ROWS * per_row));
    for (batch, (numbers, out)) in batches.enumerate() {
        let mut first = 0;
        for factor in factors {
            let columns = first..first + factor.columns();
            let part = numbers.chunks_exact(cols).flat_map(|row| &row[columns.clone()]);
            let part: Vec<f32> = part.copied().collect();
            let found = best::<B, LEN, SUBS>(factor, &part).map_err(|error| {
                in_whole(error, |at| {
                    let (row, column) = (at / factor.columns(), at % factor.columns());
                    (batch * ROWS + row) * cols + first + column
                })
            })?;
            let rows = out.chunks_exact_mut(per_row);
            for (row, found) in rows.zip(found.chunks_exact(factor.columns() / LEN)) {
                row[first / LEN..][..found.len()].copy_from_slice(found);
            }
            first = columns.end;
        }
    }
    Ok(())
}

/// An error about a number of a part, told of all numbers.
fn in_whole(error: BlockError, place: impl Fn(usize) -> usize) -> BlockError {
    match error {
        BlockError::Range { format, index, value } => BlockError::Range {
            format,
            index: place(index),
            value,
        },
        other => other,
    }
}

/// The better of two searches for each row: one that starts from the weighted search alone, so that nothing gets worse, and
/// one that starts from feedback.
#[inline(always)]
fn best<B: Codes<LEN, SUBS>, const LEN: usize, const SUBS: usize>(
    factor: &Factor,
    numbers: &[f32],
) -> Result<Vec<B>, BlockError> {
    let mut blocks = vec![B::zeroed(); numbers.len() / LEN];
    quantize_weighted(
        B::FORMAT,
        numbers,
        Some(factor.importance()),
        bytemuck::cast_slice_mut(&mut blocks),
    )?;
    let mut plain = Run::new::<LEN, SUBS>(factor, numbers, blocks);
    let mut fed = plain.clone();
    descend(&mut plain, B::LEVELS, LEN / SUBS);
    if fed.feed::<LEN, SUBS>().is_ok() {
        descend(&mut fed, B::LEVELS, LEN / SUBS);
        let errors = plain.errors().into_iter().zip(fed.errors());
        for (row, (one, other)) in errors.enumerate() {
            if other < one {
                plain.take(&fed, row, LEN);
            }
        }
    }
    plain.store::<LEN, SUBS>();
    Ok(plain.blocks)
}

#[cfg(test)]
mod tests {
    use super::{Codes, Factor, all, blocks};
    use crate::{BlockIq4Xs, BlockQ3K, BlockQ4K, BlockQ5_0};

    fn same_on_every_isa<B: Codes<LEN, SUBS>, const LEN: usize, const SUBS: usize>() {
        let at = |index: usize| ((index as f32 + 0.5) * 0.754_877_7).fract() - 0.5;
        let near = |one: usize, other: usize| 1.0 / (1.0 + one.abs_diff(other) as f32);
        let moments: Vec<f32> = (0..256 * 256).map(|cell| near(cell / 256, cell % 256)).collect();
        let factor = [Factor::new(256, &moments).unwrap()];
        let numbers: Vec<f32> = (0..19 * 256).map(at).collect();
        let size = B::FORMAT.row_bytes(numbers.len()).unwrap();
        let (mut detected, mut portable) = (vec![0; size], vec![0; size]);
        blocks::<B, LEN, SUBS>(&numbers, &factor, &mut detected).unwrap();
        all::<B, LEN, SUBS>(&numbers, &factor, &mut portable).unwrap();
        assert!(detected == portable, "{}", B::FORMAT);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        same_on_every_isa::<BlockQ3K, 256, 16>();
        same_on_every_isa::<BlockQ4K, 256, 8>();
        same_on_every_isa::<BlockIq4Xs, 256, 8>();
        same_on_every_isa::<BlockQ5_0, 32, 1>();
    }
}
