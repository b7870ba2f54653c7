//! Activations as int8, one scale for 32: what quantized weights are multiplied with.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use mains_contract::{Bytes, DriverError};

use super::linear::PlainRows;
use super::math::ROUND;
use crate::arena::{Arena, LINE_BYTES};
use crate::disjoint::Disjoint;
use crate::isa::Kernel;
use crate::simd::Simd;

/// The largest quant. -128 is not used: its negative is no int8.
const MAX_QUANT: f32 = 127.0;
/// Quants of one scale.
const BLOCK: usize = 32;
/// Quants in fours, as products take them.
pub(crate) type Quants = [[i8; 4]; BLOCK / 4];

/// What is known of a block beside its quants.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct BlockFacts {
    pub(crate) scale: f32,
    /// Minus the scale times the sum of the quants.
    pub(crate) negative: f32,
    /// The sum of the quants.
    pub(crate) sum: i32,
    unused: u32,
}

/// The sums of [`BlockFacts`] for the first and second half of a block.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct HalfFacts {
    pub(crate) negatives: [f32; 2],
    pub(crate) sums: [i32; 2],
}

/// Bytes of `blocks` blocks of facts: whole cache lines.
const fn facts_bytes(cols: usize) -> usize {
    (cols.div_ceil(BLOCK) * size_of::<BlockFacts>()).next_multiple_of(LINE_BYTES)
}

/// Bytes of a row's quants: whole cache lines.
const fn quant_bytes(cols: usize) -> usize {
    cols.next_multiple_of(LINE_BYTES)
}

/// Bytes that [`QuantizedRows`] takes for a row of `cols` numbers.
pub(crate) const fn quantized_bytes(cols: usize) -> usize {
    quant_bytes(cols) + 2 * facts_bytes(cols)
}

/// One row of activations as products read it.
#[derive(Clone, Copy)]
pub(crate) struct QuantizedRow<'a> {
    pub(crate) quants: &'a [Quants],
    pub(crate) blocks: &'a [BlockFacts],
    pub(crate) halves: &'a [HalfFacts],
}

impl QuantizedRow<'_> {
    pub(crate) const EMPTY: Self = Self {
        quants: &[],
        blocks: &[],
        halves: &[],
    };
}

/// Rows of quantized activations, laid out for one width at a time. The memory is as large as its uses ask for.
pub(crate) struct QuantizedRows {
    bytes: Arena,
    cols: usize,
}

impl QuantizedRows {
    /// Memory for `rows` rows of the step, of `row_bytes` bytes each: [`quantized_bytes`] of each part of a row.
    ///
    /// # Errors
    /// [`DriverError::OutOfMemory`].
    pub(crate) fn new(rows: usize, row_bytes: usize) -> Result<Self, DriverError> {
        Ok(Self {
            bytes: Arena::new(rows.saturating_mul(row_bytes), "quantized activations")?,
            cols: 0,
        })
    }

    /// Bytes that were allocated.
    pub(crate) fn size(&self) -> Bytes {
        self.bytes.size()
    }

    /// The memory of rows of `cols` numbers, to be written by [`Quantize`].
    pub(crate) fn write(&mut self, cols: usize) -> Disjoint<'_, u8> {
        self.cols = cols;
        Disjoint::new(self.bytes.bytes_mut())
    }

    /// One row, or one part of a row.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> QuantizedRow<'_> {
        let size = quantized_bytes(self.cols);
        let (quants, facts) = self.bytes.bytes()[row * size..][..size].split_at(quant_bytes(self.cols));
        let (blocks, halves) = facts.split_at(facts_bytes(self.cols));
        QuantizedRow {
            quants: bytemuck::cast_slice(quants),
            blocks: bytemuck::cast_slice(blocks),
            halves: bytemuck::cast_slice(halves),
        }
    }
}

/// Quantizes some parts of the rows of `x`, whose width is a whole number of blocks.
pub(crate) struct Quantize<'a> {
    pub(crate) x: PlainRows<'a>,
    pub(crate) parts: Range<usize>,
    /// Of [`QuantizedRows::write`].
    pub(crate) to: &'a Disjoint<'a, u8>,
}

impl Kernel for Quantize<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let cols = self.x.cols;
        let size = quantized_bytes(cols);
        for part in self.parts {
            // SAFETY: rows do not overlap, and this thread alone has this one.
            let to = unsafe { self.to.part(part * size..(part + 1) * size) };
            let (quants, facts) = to.split_at_mut(quant_bytes(cols));
            let (blocks, halves) = facts.split_at_mut(facts_bytes(cols));
            let quants: &mut [[i8; BLOCK]] = bytemuck::cast_slice_mut(quants);
            let blocks: &mut [BlockFacts] = bytemuck::cast_slice_mut(blocks);
            let halves: &mut [HalfFacts] = bytemuck::cast_slice_mut(halves);
            let x = self.x.part(part).as_chunks::<BLOCK>().0;
            for (at, x) in x.iter().enumerate() {
                (blocks[at], halves[at]) = quantize_block(x, &mut quants[at]);
            }
        }
    }
}

#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the low byte of a rounded number is its quant; 32 quants sum to less than 2^24"
)]
fn quantize_block(x: &[f32; BLOCK], quants: &mut [i8; BLOCK]) -> (BlockFacts, HalfFacts) {
    // Without their signs, numbers are in the order of their bits, and a NaN is above all: it reaches the scale.
    let mut largest = 0;
    for number in x {
        largest = largest.max(number.to_bits() & 0x7fff_ffff);
    }
    let largest = f32::from_bits(largest);
    let factor = MAX_QUANT / largest;
    // Numbers whose inverse is beyond float32 are as good as 0.
    let (scale, factor) = if factor == f32::INFINITY {
        (0.0, 0.0)
    } else {
        (largest / MAX_QUANT, factor)
    };
    let mut sums = [0_i32; 2];
    for (at, (number, quant)) in x.iter().zip(quants).enumerate() {
        *quant = (number * factor + ROUND).to_bits() as i8;
        sums[at / (BLOCK / 2)] += i32::from(*quant);
    }
    let negative = |sum: i32| -(scale * sum as f32);
    let sum = sums[0] + sums[1];
    let block = BlockFacts {
        scale,
        negative: negative(sum),
        sum,
        unused: 0,
    };
    let halves = HalfFacts {
        negatives: sums.map(negative),
        sums,
    };
    (block, halves)
}

#[cfg(test)]
mod tests {
    use super::quantize_block;

    #[test]
    fn the_largest_number_takes_the_largest_quant() {
        let mut x = [0.0; 32];
        (x[3], x[4], x[5], x[20]) = (-2.54, 1.27, 0.011, 1.0);
        let mut quants = [9; 32];
        let (block, halves) = quantize_block(&x, &mut quants);
        assert_eq!(
            (quants[3], quants[4], quants[5], quants[6], quants[20]),
            (-127, 64, 1, 0, 50)
        );
        assert!((block.scale - 0.02).abs() < 1e-7);
        assert_eq!((block.sum, halves.sums), (-12, [-62, 50]));
        assert_eq!(block.negative, block.scale * 12.0);
        assert_eq!(halves.negatives, [block.scale * 62.0, block.scale * -50.0]);
    }

    #[test]
    fn zeros_and_the_smallest_numbers_are_zeros_and_a_nan_is_kept() {
        let mut quants = [9; 32];
        assert_eq!(quantize_block(&[0.0; 32], &mut quants).0.scale, 0.0);
        assert_eq!(quants, [0; 32]);
        let (block, _) = quantize_block(&[f32::MIN_POSITIVE / 2.0; 32], &mut quants);
        assert_eq!((block.scale, block.sum), (0.0, 0));
        let mut x = [1.0; 32];
        x[7] = f32::NAN;
        assert!(quantize_block(&x, &mut quants).0.scale.is_nan());
    }
}
