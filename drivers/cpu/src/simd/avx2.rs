//! AVX2 with FMA and F16C: two registers a vector.

#[allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]
use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{HALF, LANES, Simd};

/// Lanes 0 to 7 and 8 to 15.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

impl Simd for Avx2 {
    const WIDE: bool = false;
    type Quants = (__m256i, __m256i);

    #[inline(always)]
    fn splat(number: f32) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm256_set1_ps(number), _mm256_set1_ps(number)) }
    }

    #[inline(always)]
    fn pair(low: f32, high: f32) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm256_set1_ps(low), _mm256_set1_ps(high)) }
    }

    #[inline(always)]
    fn pair_f16(low: f16, high: f16) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let bits = u32::from(low.to_bits()) | u32::from(high.to_bits()) << 16;
            let numbers = _mm_cvtph_ps(_mm_cvtsi32_si128(bits.cast_signed()));
            Self(
                _mm256_broadcastss_ps(numbers),
                _mm256_broadcastss_ps(_mm_movehdup_ps(numbers)),
            )
        }
    }

    #[inline(always)]
    fn octet(numbers: &[f32; 8]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe { Self(_mm256_loadu_ps(numbers.as_ptr()), _mm256_setzero_ps()) }
    }

    #[inline(always)]
    fn octet_u8(numbers: u64) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let bytes = _mm_cvtsi64_si128(numbers.cast_signed());
            Self(
                _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
                _mm256_setzero_ps(),
            )
        }
    }

    #[inline(always)]
    fn spread<const PAIR: i32>(self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            Self(
                _mm256_permutevar8x32_ps(self.0, _mm256_set1_epi32(2 * PAIR)),
                _mm256_permutevar8x32_ps(self.0, _mm256_set1_epi32(2 * PAIR + 1)),
            )
        }
    }

    #[inline(always)]
    fn load(numbers: &[f32; LANES]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the loads.
        unsafe {
            let low = numbers.as_ptr();
            Self(_mm256_loadu_ps(low), _mm256_loadu_ps(low.add(8)))
        }
    }

    #[inline(always)]
    fn load_f16(numbers: &[f16; LANES]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the loads.
        unsafe {
            let low: *const __m128i = numbers.as_ptr().cast();
            Self(
                _mm256_cvtph_ps(_mm_loadu_si128(low)),
                _mm256_cvtph_ps(_mm_loadu_si128(low.add(1))),
            )
        }
    }

    #[inline(always)]
    fn load_bf16(numbers: &[bf16; LANES]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the loads.
        unsafe {
            let low: *const __m128i = numbers.as_ptr().cast();
            let (low, high) = (_mm_loadu_si128(low), _mm_loadu_si128(low.add(1)));
            Self(
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(low))),
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(high))),
            )
        }
    }

    #[inline(always)]
    fn store(self, numbers: &mut [f32; LANES]) {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the stores.
        unsafe {
            let low = numbers.as_mut_ptr();
            _mm256_storeu_ps(low, self.0);
            _mm256_storeu_ps(low.add(8), self.1);
        }
    }

    #[inline(always)]
    fn store_f16(self, numbers: &mut [f16; LANES]) {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the stores.
        unsafe {
            let low: *mut __m128i = numbers.as_mut_ptr().cast();
            _mm_storeu_si128(low, _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0));
            _mm_storeu_si128(low.add(1), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.1));
        }
    }

    #[inline(always)]
    fn fma(self, factor: Self, addend: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            Self(
                _mm256_fmadd_ps(self.0, factor.0, addend.0),
                _mm256_fmadd_ps(self.1, factor.1, addend.1),
            )
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm256_div_ps(self.0, other.0), _mm256_div_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm256_min_ps(self.0, other.0), _mm256_min_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let (low, high) = (_mm256_cvtps_epi32(self.0), _mm256_cvtps_epi32(self.1));
            Self(
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(low, bias))),
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(high, bias))),
            )
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let eight = _mm256_add_ps(self.0, self.1);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let eight = _mm256_max_ps(self.0, self.1);
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn load_quants(low: &[i8; HALF], high: &[i8; HALF]) -> Self::Quants {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the arrays are as long as the loads.
        unsafe {
            (
                _mm256_loadu_si256(low.as_ptr().cast()),
                _mm256_loadu_si256(high.as_ptr().cast()),
            )
        }
    }

    #[inline(always)]
    fn load_nibbles(bytes: &[u8; HALF]) -> Self::Quants {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe {
            let both = _mm256_loadu_si256(bytes.as_ptr().cast());
            let mask = _mm256_set1_epi8(0x0f);
            (
                _mm256_and_si256(both, mask),
                _mm256_and_si256(_mm256_srli_epi16::<4>(both), mask),
            )
        }
    }

    #[inline(always)]
    fn dot_i8(weights: Self::Quants, activations: Self::Quants) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            // Pairs of products are at most 2 * 128 * 127, which int16 holds.
            let ones = _mm256_set1_epi16(1);
            let low = _mm256_sign_epi8(activations.0, weights.0);
            let high = _mm256_sign_epi8(activations.1, weights.1);
            let low = _mm256_maddubs_epi16(_mm256_abs_epi8(weights.0), low);
            let high = _mm256_maddubs_epi16(_mm256_abs_epi8(weights.1), high);
            Self(
                _mm256_cvtepi32_ps(_mm256_madd_epi16(low, ones)),
                _mm256_cvtepi32_ps(_mm256_madd_epi16(high, ones)),
            )
        }
    }

    #[inline(always)]
    fn dot_u4(weights: Self::Quants, activations: Self::Quants) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let ones = _mm256_set1_epi16(1);
            let low = _mm256_maddubs_epi16(weights.0, activations.0);
            let high = _mm256_maddubs_epi16(weights.1, activations.1);
            Self(
                _mm256_cvtepi32_ps(_mm256_madd_epi16(low, ones)),
                _mm256_cvtepi32_ps(_mm256_madd_epi16(high, ones)),
            )
        }
    }
}
