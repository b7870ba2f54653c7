//! 16 lanes of float32 and the primitives that kernels are written in.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use half::{bf16, f16};

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use portable::Portable;

/// Lanes of a vector, on every instruction set.
pub(crate) const LANES: usize = 16;
/// Bytes of a vector: 4 for each lane.
pub(crate) const VECTOR_BYTES: usize = 4 * LANES;

/// 16 lanes of float32. [`Portable`] is the definition: every implementation gives the same bits for finite numbers.
///
/// Values of an implementation with intrinsics exist only inside [`crate::isa::Detected::run`], which entered it after
/// detection; this is what their `unsafe` rests on.
pub(crate) trait Simd: Copy {
    /// Whether 16 accumulators fit the registers; 4 do otherwise.
    const WIDE: bool;
    /// 64 bytes, 4 for each lane.
    type Bytes: Copy;
    /// 16 lanes of int32.
    type Ints: Copy;

    /// All lanes the same.
    fn splat(number: f32) -> Self;

    /// 16 numbers.
    fn load(numbers: &[f32; LANES]) -> Self;
    /// 16 numbers.
    fn load_f16(numbers: &[f16; LANES]) -> Self;
    /// 16 numbers.
    fn load_bf16(numbers: &[bf16; LANES]) -> Self;
    /// 16 numbers.
    fn load_u8(numbers: &[u8; LANES]) -> Self;
    /// 16 numbers.
    fn load_i8(numbers: &[i8; LANES]) -> Self;
    /// Stores the lanes.
    fn store(self, numbers: &mut [f32; LANES]);
    /// Stores the lanes, rounded to the nearest, ties to even.
    fn store_f16(self, numbers: &mut [f16; LANES]);

    /// `self * factor + addend`, rounded once.
    fn fma(self, factor: Self, addend: Self) -> Self;
    /// Sum.
    fn add(self, other: Self) -> Self;
    /// Difference.
    fn sub(self, other: Self) -> Self;
    /// Product.
    fn mul(self, other: Self) -> Self;
    /// Quotient.
    fn div(self, other: Self) -> Self;
    /// `self` where it is smaller, else `other`.
    fn min(self, other: Self) -> Self;
    /// `self` where it is larger, else `other`.
    fn max(self, other: Self) -> Self;
    /// `2^self` of whole numbers from -126 to 127.
    fn power_of_two(self) -> Self;
    /// Sum of all lanes: of lanes 8 apart, then of those 4, 2 and 1 apart.
    fn sum(self) -> f32;
    /// The largest lane.
    fn largest(self) -> f32;

    /// 64 bytes.
    fn load_bytes(bytes: &[u8; VECTOR_BYTES]) -> Self::Bytes;
    /// Stores the bytes.
    fn store_bytes(bytes: Self::Bytes, to: &mut [u8; VECTOR_BYTES]);
    /// `byte >> shift & mask`, where `mask` has none of the upper `shift` bits.
    fn bits(bytes: Self::Bytes, shift: usize, mask: u8) -> Self::Bytes;
    /// `low | high << shift`, where no bit of `high` is lost.
    fn join(low: Self::Bytes, high: Self::Bytes, shift: usize) -> Self::Bytes;
    /// The entry of `table` for each byte, which is below 16.
    fn look_up(table: &[u8; 16], bytes: Self::Bytes) -> Self::Bytes;

    /// All lanes the same.
    fn ints(number: i32) -> Self::Ints;
    /// Adds to each lane the products of its 4 bytes with `quants`, which are never -128. `FULL`: bytes may be above 127.
    fn dot<const FULL: bool>(sums: Self::Ints, bytes: Self::Bytes, quants: [i8; 4]) -> Self::Ints;
    /// As float32, rounded to the nearest.
    fn floats(ints: Self::Ints) -> Self;

    /// Stores the lanes, rounded to the nearest, ties to even.
    #[inline(always)]
    fn store_bf16(self, numbers: &mut [bf16; LANES]) {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        *numbers = lanes.map(bf16::from_f32);
    }

    /// All lanes 0.
    #[inline(always)]
    fn zero() -> Self {
        Self::splat(0.0)
    }
}
