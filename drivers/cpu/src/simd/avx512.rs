//! AVX-512: one register a vector. With `VNNI` int8 products take one instruction, without it three.

#[allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]
use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{LANES, Simd, VECTOR_BYTES};

/// 16 lanes in a register.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const VNNI: bool>(__m512);

impl<const VNNI: bool> Simd for Avx512<VNNI> {
    const WIDE: bool = true;
    type Bytes = __m512i;
    type Ints = __m512i;

    #[inline(always)]
    fn splat(number: f32) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm512_set1_ps(number)) }
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
    fn load_u8(numbers: &[u8; LANES]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe {
            let wide = _mm512_cvtepu8_epi32(_mm_loadu_si128(numbers.as_ptr().cast()));
            Self(_mm512_cvtepi32_ps(wide))
        }
    }

    #[inline(always)]
    fn load_i8(numbers: &[i8; LANES]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe {
            let wide = _mm512_cvtepi8_epi32(_mm_loadu_si128(numbers.as_ptr().cast()));
            Self(_mm512_cvtepi32_ps(wide))
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
    fn load_bytes(bytes: &[u8; VECTOR_BYTES]) -> Self::Bytes {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_bytes(bytes: Self::Bytes, to: &mut [u8; VECTOR_BYTES]) {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the store.
        unsafe {
            _mm512_storeu_si512(to.as_mut_ptr().cast(), bytes);
        }
    }

    #[inline(always)]
    fn bits(bytes: Self::Bytes, shift: usize, mask: u8) -> Self::Bytes {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            // Pairs of bytes are shifted; the mask drops what came from the neighbour.
            let shifted = match shift {
                0 => bytes,
                1 => _mm512_srli_epi16::<1>(bytes),
                2 => _mm512_srli_epi16::<2>(bytes),
                3 => _mm512_srli_epi16::<3>(bytes),
                4 => _mm512_srli_epi16::<4>(bytes),
                5 => _mm512_srli_epi16::<5>(bytes),
                6 => _mm512_srli_epi16::<6>(bytes),
                _ => _mm512_srli_epi16::<7>(bytes),
            };
            _mm512_and_si512(shifted, _mm512_set1_epi8(mask.cast_signed()))
        }
    }

    #[inline(always)]
    fn join(low: Self::Bytes, high: Self::Bytes, shift: usize) -> Self::Bytes {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let shifted = match shift {
                2 => _mm512_slli_epi16::<2>(high),
                _ => _mm512_slli_epi16::<4>(high),
            };
            _mm512_or_si512(low, shifted)
        }
    }

    #[inline(always)]
    fn look_up(table: &[u8; 16], bytes: Self::Bytes) -> Self::Bytes {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe {
            let table = _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast()));
            _mm512_shuffle_epi8(table, bytes)
        }
    }

    #[inline(always)]
    fn ints(number: i32) -> Self::Ints {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { _mm512_set1_epi32(number) }
    }

    #[inline(always)]
    fn dot<const FULL: bool>(sums: Self::Ints, bytes: Self::Bytes, quants: [i8; 4]) -> Self::Ints {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe {
            let quants = _mm512_set1_epi32(i32::from_ne_bytes(bytemuck::cast(quants)));
            if VNNI {
                return _mm512_dpbusd_epi32(sums, bytes, quants);
            }
            let ones = _mm512_set1_epi16(1);
            if FULL {
                // Pairs of products are at most 2 * 128 * 127 for the highest bit and for the others, which int16 holds.
                let top = _mm512_set1_epi8(i8::MIN);
                let high = _mm512_maddubs_epi16(_mm512_and_si512(bytes, top), quants);
                let low = _mm512_maddubs_epi16(_mm512_andnot_si512(top, bytes), quants);
                let both = _mm512_add_epi32(_mm512_madd_epi16(high, ones), _mm512_madd_epi16(low, ones));
                _mm512_add_epi32(sums, both)
            } else {
                let pairs = _mm512_maddubs_epi16(bytes, quants);
                _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, ones))
            }
        }
    }

    #[inline(always)]
    fn floats(ints: Self::Ints) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm512_cvtepi32_ps(ints)) }
    }
}
