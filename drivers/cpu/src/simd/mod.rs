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
/// Quants of one half of a vector's worth: those of one scale.
pub(crate) const HALF: usize = 32;

/// 16 lanes of float32. [`Portable`] is the definition: every implementation gives the same bits for finite numbers.
///
/// Values of an implementation with intrinsics exist only inside [`crate::isa::Detected::run`], which entered it after
/// detection; this is what their `unsafe` rests on.
pub(crate) trait Simd: Copy {
    /// Whether 16 accumulators fit the registers; 4 do otherwise.
    const WIDE: bool;
    /// 64 int8 quants: 32 of one block, 32 of the next.
    type Quants: Copy;

    /// All lanes the same.
    fn splat(number: f32) -> Self;
    /// Lanes 0 to 7 and 8 to 15, each half the same.
    fn pair(low: f32, high: f32) -> Self;
    /// As [`Self::pair`].
    fn pair_f16(low: f16, high: f16) -> Self;
    /// Lanes 0 to 7; the others are 0.
    fn octet(numbers: &[f32; 8]) -> Self;
    /// Lanes 0 to 7 from the bytes of `numbers`, the lowest first; the others are 0.
    fn octet_u8(numbers: u64) -> Self;
    /// Lane `2 * PAIR` in lanes 0 to 7 and lane `2 * PAIR + 1` in lanes 8 to 15; `PAIR` is below 4.
    fn spread<const PAIR: i32>(self) -> Self;

    /// 16 numbers.
    fn load(numbers: &[f32; LANES]) -> Self;
    /// 16 numbers.
    fn load_f16(numbers: &[f16; LANES]) -> Self;
    /// 16 numbers.
    fn load_bf16(numbers: &[bf16; LANES]) -> Self;
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

    /// 64 quants.
    fn load_quants(low: &[i8; HALF], high: &[i8; HALF]) -> Self::Quants;
    /// The low halves of 32 bytes, then their high halves: quants from 0 to 15.
    fn load_nibbles(bytes: &[u8; HALF]) -> Self::Quants;
    /// Lane `l` is the sum of the products of quants `4 l` to `4 l + 3`. Activations are never -128.
    fn dot_i8(weights: Self::Quants, activations: Self::Quants) -> Self;
    /// As [`Self::dot_i8`] for weights from 0 to 15.
    fn dot_u4(weights: Self::Quants, activations: Self::Quants) -> Self;

    /// All lanes 0.
    #[inline(always)]
    fn zero() -> Self {
        Self::splat(0.0)
    }
}
