//! Activations as int8, one scale for 32: what quantized weights are multiplied with.

use std::ops::Range;

use mains_contract::DriverError;

use super::math::ROUND;
use crate::arena::{Arena, LINE_BYTES, padded};
use crate::disjoint::Disjoint;
use crate::isa::Kernel;
use crate::simd::{HALF, Simd};

/// The largest quant. -128 is not used: its negative is no int8.
const MAX_QUANT: f32 = 127.0;

/// Bytes of a row's quants: whole cache lines, the last padded with zeros.
pub(crate) const fn quant_bytes(cols: usize) -> usize {
    cols.next_multiple_of(LINE_BYTES)
}

/// Numbers of a row's scales, and of its sums.
pub(crate) const fn block_numbers(cols: usize) -> usize {
    padded(cols.div_ceil(HALF))
}

/// Rows of quantized activations, laid out for one width at a time in memory for the widest.
pub(crate) struct QuantizedRows {
    quants: Arena,
    scales: Arena,
    sums: Arena,
    cols: usize,
}

impl QuantizedRows {
    /// Memory for `rows` rows of up to `cols` numbers.
    ///
    /// # Errors
    /// [`DriverError::OutOfMemory`].
    pub(crate) fn new(rows: usize, cols: usize) -> Result<Self, DriverError> {
        let what = "quantized activations";
        let block_bytes = block_numbers(cols) * size_of::<f32>();
        Ok(Self {
            quants: Arena::new(rows.saturating_mul(quant_bytes(cols)), what)?,
            scales: Arena::new(rows.saturating_mul(block_bytes), what)?,
            sums: Arena::new(rows.saturating_mul(block_bytes), what)?,
            cols: 0,
        })
    }

    /// Bytes that were allocated.
    pub(crate) fn size(&self) -> mains_contract::Bytes {
        self.quants.size() + self.scales.size() + self.sums.size()
    }

    /// The memory of rows of `cols` numbers, to be written by [`Quantize`].
    pub(crate) fn write(&mut self, cols: usize) -> QuantizeTo<'_> {
        self.cols = cols;
        QuantizeTo {
            quants: Disjoint::new(bytemuck::cast_slice_mut(self.quants.bytes_mut())),
            scales: Disjoint::new(self.scales.numbers_mut()),
            sums: Disjoint::new(self.sums.numbers_mut()),
        }
    }

    /// The quants of `row`, in pairs of blocks.
    #[inline(always)]
    pub(crate) fn quants(&self, row: usize) -> &[[[i8; HALF]; 2]] {
        let bytes = quant_bytes(self.cols);
        bytemuck::cast_slice(&self.quants.bytes()[row * bytes..][..bytes])
    }

    /// The scales of `row`, one a block.
    #[inline(always)]
    pub(crate) fn scales(&self, row: usize) -> &[f32] {
        let numbers = block_numbers(self.cols);
        &self.scales.numbers()[row * numbers..][..numbers]
    }

    /// The sums of `row`, one a block: of its quants, times its scale.
    #[inline(always)]
    pub(crate) fn sums(&self, row: usize) -> &[f32] {
        let numbers = block_numbers(self.cols);
        &self.sums.numbers()[row * numbers..][..numbers]
    }
}

/// Where [`Quantize`] writes: each row is one thread's.
pub(crate) struct QuantizeTo<'a> {
    quants: Disjoint<'a, i8>,
    scales: Disjoint<'a, f32>,
    sums: Disjoint<'a, f32>,
}

/// Quantizes `rows` of `x`.
pub(crate) struct Quantize<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) cols: usize,
    pub(crate) rows: Range<usize>,
    pub(crate) to: &'a QuantizeTo<'a>,
}

impl Kernel for Quantize<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (bytes, numbers) = (quant_bytes(self.cols), block_numbers(self.cols));
        for row in self.rows {
            let x = &self.x[row * self.stride..][..self.cols];
            // SAFETY: rows do not overlap, and this thread alone has this one.
            let quants = unsafe { self.to.quants.part(row * bytes..(row + 1) * bytes) };
            // SAFETY: as above.
            let scales = unsafe { self.to.scales.part(row * numbers..(row + 1) * numbers) };
            // SAFETY: as above.
            let sums = unsafe { self.to.sums.part(row * numbers..(row + 1) * numbers) };
            let blocks = self.cols / HALF;
            quants[self.cols..].fill(0);
            scales[blocks..].fill(0.0);
            sums[blocks..].fill(0.0);
            let (x, quants) = (x.as_chunks::<HALF>().0, quants.as_chunks_mut::<HALF>().0);
            for (block, (x, quants)) in x.iter().zip(quants).enumerate() {
                (scales[block], sums[block]) = quantize_block(x, quants);
            }
        }
    }
}

/// The scale of a block, and the sum of its quants times it.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the low byte of a rounded number is its quant; 32 quants sum to less than 2^24"
)]
fn quantize_block(x: &[f32; HALF], quants: &mut [i8; HALF]) -> (f32, f32) {
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
    let mut sum = 0_i32;
    for (number, quant) in x.iter().zip(quants) {
        *quant = (number * factor + ROUND).to_bits() as i8;
        sum += i32::from(*quant);
    }
    (scale, scale * sum as f32)
}

#[cfg(test)]
mod tests {
    use super::quantize_block;

    #[test]
    fn the_largest_number_takes_the_largest_quant() {
        let mut x = [0.0; 32];
        (x[3], x[4], x[5]) = (-2.54, 1.27, 0.011);
        let mut quants = [9; 32];
        let (scale, sum) = quantize_block(&x, &mut quants);
        assert_eq!((quants[3], quants[4], quants[5], quants[6]), (-127, 64, 1, 0));
        assert!((scale - 0.02).abs() < 1e-7);
        assert_eq!(sum, scale * -62.0);
    }

    #[test]
    fn zeros_and_the_smallest_numbers_are_zeros_and_a_nan_is_kept() {
        let mut quants = [9; 32];
        assert_eq!(quantize_block(&[0.0; 32], &mut quants), (0.0, 0.0));
        assert_eq!(quants, [0; 32]);
        assert_eq!(
            quantize_block(&[f32::MIN_POSITIVE / 2.0; 32], &mut quants),
            (0.0, 0.0)
        );
        let mut x = [1.0; 32];
        x[7] = f32::NAN;
        assert!(quantize_block(&x, &mut quants).0.is_nan());
    }
}
