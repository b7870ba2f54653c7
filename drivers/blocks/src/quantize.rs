//! From float32 to blocks.

use crate::block::{Input, Quantize};
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
/// F16 and BF16 round to nearest, ties to even; Q8_0 rounds halves away from zero, as ggml does. The others search for the
/// scales (and minima) of the least squared error, weighted by `importance`: what an error in each number costs, relative
/// to the others of its block. It has the length of `numbers`, or of one row that all rows share.
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

/// An instruction set that the search is compiled for. All give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX2.
    Avx2,
    /// No instructions beyond the target's own.
    Portable,
}

impl Isa {
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn detect() -> Self {
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if avx512 {
            Self::Avx512
        } else if is_x86_feature_detected!("avx2") {
            Self::Avx2
        } else {
            Self::Portable
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn detect() -> Self {
        Self::Portable
    }
}

/// Quantizes all blocks; no `importance` when it is empty.
fn blocks<B: Quantize<LEN>, const LEN: usize>(
    format: BlockFormat,
    numbers: &[f32],
    importance: &[f32],
    out: &mut [u8],
) -> Result<(), BlockError> {
    let found = out.len();
    let out: &mut [B] =
        bytemuck::try_cast_slice_mut(out).map_err(|_| BlockError::PartialBytes { format, found })?;
    let (numbers, importance) = (numbers.as_chunks().0, importance.as_chunks().0);
    let Some(failed) = run::<B, LEN>(Isa::detect(), numbers, importance, out) else {
        return Ok(());
    };
    let (within, value) = worst(&numbers[failed]);
    let index = failed * LEN + within;
    Err(BlockError::Range { format, index, value })
}

/// The first block whose numbers can not be quantized.
fn run<B: Quantize<LEN>, const LEN: usize>(
    isa: Isa,
    numbers: &[[f32; LEN]],
    importance: &[[f32; LEN]],
    out: &mut [B],
) -> Option<usize> {
    match isa {
        // SAFETY: `detect` is what makes this value outside of tests, and it saw the features that the function enables.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { run_avx512(numbers, importance, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { run_avx2(numbers, importance, out) },
        _ => run_portable(numbers, importance, out),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
fn run_avx512<B: Quantize<LEN>, const LEN: usize>(
    numbers: &[[f32; LEN]],
    importance: &[[f32; LEN]],
    out: &mut [B],
) -> Option<usize> {
    batches(numbers, importance, out)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<B: Quantize<LEN>, const LEN: usize>(
    numbers: &[[f32; LEN]],
    importance: &[[f32; LEN]],
    out: &mut [B],
) -> Option<usize> {
    batches(numbers, importance, out)
}

fn run_portable<B: Quantize<LEN>, const LEN: usize>(
    numbers: &[[f32; LEN]],
    importance: &[[f32; LEN]],
    out: &mut [B],
) -> Option<usize> {
    batches(numbers, importance, out)
}

#[inline(always)]
fn batches<B: Quantize<LEN>, const LEN: usize>(
    numbers: &[[f32; LEN]],
    importance: &[[f32; LEN]],
    out: &mut [B],
) -> Option<usize> {
    const MOST: usize = crate::search::lanes::LANES;
    let mut importance = importance.iter().cycle();
    let batches = numbers.chunks(B::BATCH).zip(out.chunks_mut(B::BATCH));
    for (batch, (numbers, out)) in batches.enumerate() {
        let mut input = [Input {
            numbers: &numbers[0],
            importance: None,
        }; MOST];
        let input = &mut input[..numbers.len()];
        for (input, numbers) in input.iter_mut().zip(numbers) {
            *input = Input {
                numbers,
                importance: importance.next(),
            };
        }
        let mut failed = None;
        for (block, numbers) in numbers.iter().enumerate() {
            if failed.is_none() && !all_finite(numbers) {
                failed = Some(block);
            }
        }
        B::quantize(input, &mut |block, made| match made {
            Some(made) => out[block] = made,
            None => failed = Some(failed.map_or(block, |first| first.min(block))),
        });
        if let Some(block) = failed {
            return Some(batch * B::BATCH + block);
        }
    }
    None
}

#[inline(always)]
fn all_finite<const LEN: usize>(numbers: &[f32; LEN]) -> bool {
    let mut largest = 0;
    for number in numbers {
        largest = largest.max(number.to_bits() & 0x7fff_ffff);
    }
    largest < f32::INFINITY.to_bits()
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

#[cfg(test)]
mod tests {
    use super::{Isa, run};
    use crate::block::Quantize;
    use crate::{BlockIq4Xs, BlockQ2K, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ6K};

    /// Numbers of growing size with some far out, and an importance that varies.
    fn numbers<const LEN: usize>() -> (Vec<[f32; LEN]>, Vec<[f32; LEN]>) {
        let at = |block: usize, index: usize| {
            let x = ((block * LEN + index) as f32 * 0.754_877_7).fract() - 0.5;
            x * x * x * (1.0 + block as f32)
        };
        let blocks = |offset: usize| {
            (0..19_usize)
                .map(|block| std::array::from_fn(|index| at(block + offset, index)))
                .collect()
        };
        let importance = |one: [f32; LEN]| one.map(|number| number.abs() + 0.01);
        let numbers: Vec<[f32; LEN]> = blocks(0);
        let other: Vec<[f32; LEN]> = blocks(7);
        (numbers, other.into_iter().map(importance).collect())
    }

    fn same_on_every_isa<B: Quantize<LEN> + PartialEq, const LEN: usize>() {
        let (numbers, importance) = numbers::<LEN>();
        let made = |isa| {
            let mut out = vec![B::zeroed(); numbers.len()];
            assert_eq!(run(isa, &numbers, &importance, &mut out), None);
            out
        };
        let portable = made(Isa::Portable);
        if Isa::detect() == Isa::Avx512 {
            assert!(made(Isa::Avx512) == portable);
        }
        if Isa::detect() != Isa::Portable {
            assert!(made(Isa::Avx2) == portable);
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        same_on_every_isa::<BlockQ2K, 256>();
        same_on_every_isa::<BlockQ4K, 256>();
        same_on_every_isa::<BlockQ6K, 256>();
        same_on_every_isa::<BlockIq4Xs, 256>();
        same_on_every_isa::<BlockQ4_1, 32>();
        same_on_every_isa::<BlockQ5_0, 32>();
    }
}
