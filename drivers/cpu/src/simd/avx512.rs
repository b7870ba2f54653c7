//! AVX-512: one register a vector. With `VNNI` int8 products take one instruction, without it three.

#[allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]
use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{HALF, LANES, Simd};

/// 16 lanes in a register.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const VNNI: bool>(__m512);

impl<const VNNI: bool> Simd for Avx512<VNNI> {
    const WIDE: bool = true;
    type Quants = __m512i;

    #[inline(always)]
    fn splat(number: f32) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm512_set1_ps(number)) }
    }

    #[inline(always)]
    fn pair(low: f32, high: f32) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm512_insertf32x8::<1>(_mm512_set1_ps(low), _mm256_set1_ps(high))) }
    }

    #[inline(always)]
    fn pair_f16(low: f16, high: f16) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let bits = u32::from(low.to_bits()) | u32::from(high.to_bits()) << 16;
            let numbers = _mm_cvtph_ps(_mm_cvtsi32_si128(bits.cast_signed()));
            let halves = _mm512_inserti64x4::<1>(_mm512_setzero_si512(), _mm256_set1_epi32(1));
            Self(_mm512_permutexvar_ps(halves, _mm512_castps128_ps512(numbers)))
        }
    }

    #[inline(always)]
    fn octet(numbers: &[f32; 8]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe { Self(_mm512_zextps256_ps512(_mm256_loadu_ps(numbers.as_ptr()))) }
    }

    #[inline(always)]
    fn octet_u8(numbers: u64) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let bytes = _mm_cvtsi64_si128(numbers.cast_signed());
            Self(_mm512_zextps256_ps512(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(
                bytes,
            ))))
        }
    }

    #[inline(always)]
    fn spread<const PAIR: i32>(self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let low = _mm512_set1_epi32(2 * PAIR);
            let lanes = _mm512_inserti64x4::<1>(low, _mm256_set1_epi32(2 * PAIR + 1));
            Self(_mm512_permutexvar_ps(lanes, self.0))
        }
    }

    #[inline(always)]
    fn load(numbers: &[f32; LANES]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe { Self(_mm512_loadu_ps(numbers.as_ptr())) }
    }

    #[inline(always)]
    fn load_f16(numbers: &[f16; LANES]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe { Self(_mm512_cvtph_ps(_mm256_loadu_si256(numbers.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn load_bf16(numbers: &[bf16; LANES]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(numbers.as_ptr().cast()));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide)))
        }
    }

    #[inline(always)]
    fn store(self, numbers: &mut [f32; LANES]) {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the store.
        unsafe {
            _mm512_storeu_ps(numbers.as_mut_ptr(), self.0);
        }
    }

    #[inline(always)]
    fn store_f16(self, numbers: &mut [f16; LANES]) {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the store.
        unsafe {
            let half = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0);
            _mm256_storeu_si256(numbers.as_mut_ptr().cast(), half);
        }
    }

    #[inline(always)]
    fn fma(self, factor: Self, addend: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm512_fmadd_ps(self.0, factor.0, addend.0)) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm512_div_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm512_min_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm512_max_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased)))
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let eight = _mm256_add_ps(
                _mm512_castps512_ps256(self.0),
                _mm512_extractf32x8_ps::<1>(self.0),
            );
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let eight = _mm256_max_ps(
                _mm512_castps512_ps256(self.0),
                _mm512_extractf32x8_ps::<1>(self.0),
            );
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn load_quants(low: &[i8; HALF], high: &[i8; HALF]) -> Self::Quants {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the arrays are as long as the loads.
        unsafe {
            let low = _mm256_loadu_si256(low.as_ptr().cast());
            let high = _mm256_loadu_si256(high.as_ptr().cast());
            _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
        }
    }

    #[inline(always)]
    fn load_nibbles(bytes: &[u8; HALF]) -> Self::Quants {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe {
            let low = _mm256_loadu_si256(bytes.as_ptr().cast());
            let high = _mm256_srli_epi16::<4>(low);
            let both = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
            _mm512_and_si512(both, _mm512_set1_epi8(0x0f))
        }
    }

    #[inline(always)]
    fn dot_i8(weights: Self::Quants, activations: Self::Quants) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let zero = _mm512_setzero_si512();
            let sums = if VNNI {
                // The instruction takes one unsigned side: activations + 128, less 128 times the sum of the weights.
                let offset = _mm512_set1_epi8(-128);
                let excess = _mm512_dpbusd_epi32(zero, offset, weights);
                let unsigned = _mm512_xor_si512(activations, offset);
                _mm512_dpbusd_epi32(_mm512_sub_epi32(zero, excess), unsigned, weights)
            } else {
                // Pairs of products are at most 2 * 128 * 127, which int16 holds.
                let signs = _mm512_movepi8_mask(weights);
                let signed = _mm512_mask_sub_epi8(activations, signs, zero, activations);
                let pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(weights), signed);
                _mm512_madd_epi16(pairs, _mm512_set1_epi16(1))
            };
            Self(_mm512_cvtepi32_ps(sums))
        }
    }

    #[inline(always)]
    fn dot_u4(weights: Self::Quants, activations: Self::Quants) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let sums = if VNNI {
                _mm512_dpbusd_epi32(_mm512_setzero_si512(), weights, activations)
            } else {
                _mm512_madd_epi16(_mm512_maddubs_epi16(weights, activations), _mm512_set1_epi16(1))
            };
            Self(_mm512_cvtepi32_ps(sums))
        }
    }
}
