//! AVX2 with FMA and F16C: two registers a vector.

#[allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]
use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{LANES, Simd, VECTOR_BYTES};

/// Lanes 0 to 7 and 8 to 15.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

impl Simd for Avx2 {
    const WIDE: bool = false;
    type Bytes = (__m256i, __m256i);
    type Ints = (__m256i, __m256i);

    #[inline(always)]
    fn splat(number: f32) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm256_set1_ps(number), _mm256_set1_ps(number)) }
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
    fn load_u8(numbers: &[u8; LANES]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the loads.
        unsafe {
            let low: *const u8 = numbers.as_ptr().cast();
            let (low, high) = (_mm_loadl_epi64(low.cast()), _mm_loadl_epi64(low.add(8).cast()));
            Self(
                _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(low)),
                _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(high)),
            )
        }
    }

    #[inline(always)]
    fn load_i8(numbers: &[i8; LANES]) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the loads.
        unsafe {
            let low: *const u8 = numbers.as_ptr().cast();
            let (low, high) = (_mm_loadl_epi64(low.cast()), _mm_loadl_epi64(low.add(8).cast()));
            Self(
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(low)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high)),
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
    fn load_bytes(bytes: &[u8; VECTOR_BYTES]) -> Self::Bytes {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the loads.
        unsafe {
            let low: *const __m256i = bytes.as_ptr().cast();
            (_mm256_loadu_si256(low), _mm256_loadu_si256(low.add(1)))
        }
    }

    #[inline(always)]
    fn store_bytes(bytes: Self::Bytes, to: &mut [u8; VECTOR_BYTES]) {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the stores.
        unsafe {
            let low: *mut __m256i = to.as_mut_ptr().cast();
            _mm256_storeu_si256(low, bytes.0);
            _mm256_storeu_si256(low.add(1), bytes.1);
        }
    }

    #[inline(always)]
    fn bits(bytes: Self::Bytes, shift: usize, mask: u8) -> Self::Bytes {
        (bits(bytes.0, shift, mask), bits(bytes.1, shift, mask))
    }

    #[inline(always)]
    fn join(low: Self::Bytes, high: Self::Bytes, shift: usize) -> Self::Bytes {
        (join(low.0, high.0, shift), join(low.1, high.1, shift))
    }

    #[inline(always)]
    fn look_up(table: &[u8; 16], bytes: Self::Bytes) -> Self::Bytes {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`); the array is as long as the load.
        unsafe {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            (
                _mm256_shuffle_epi8(table, bytes.0),
                _mm256_shuffle_epi8(table, bytes.1),
            )
        }
    }

    #[inline(always)]
    fn ints(number: i32) -> Self::Ints {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { (_mm256_set1_epi32(number), _mm256_set1_epi32(number)) }
    }

    #[inline(always)]
    fn dot<const FULL: bool>(sums: Self::Ints, bytes: Self::Bytes, quants: [i8; 4]) -> Self::Ints {
        let quants = i32::from_ne_bytes(bytemuck::cast(quants));
        (
            dot::<FULL>(sums.0, bytes.0, quants),
            dot::<FULL>(sums.1, bytes.1, quants),
        )
    }

    #[inline(always)]
    fn floats(ints: Self::Ints) -> Self {
        // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
        unsafe { Self(_mm256_cvtepi32_ps(ints.0), _mm256_cvtepi32_ps(ints.1)) }
    }
}

// The halves of vectors of integers.

#[inline(always)]
fn bits(bytes: __m256i, shift: usize, mask: u8) -> __m256i {
    // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
    unsafe {
        // Pairs of bytes are shifted; the mask drops what came from the neighbour.
        let shifted = match shift {
            0 => bytes,
            1 => _mm256_srli_epi16::<1>(bytes),
            2 => _mm256_srli_epi16::<2>(bytes),
            3 => _mm256_srli_epi16::<3>(bytes),
            4 => _mm256_srli_epi16::<4>(bytes),
            5 => _mm256_srli_epi16::<5>(bytes),
            6 => _mm256_srli_epi16::<6>(bytes),
            _ => _mm256_srli_epi16::<7>(bytes),
        };
        _mm256_and_si256(shifted, _mm256_set1_epi8(mask.cast_signed()))
    }
}

#[inline(always)]
fn join(low: __m256i, high: __m256i, shift: usize) -> __m256i {
    // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
    unsafe {
        let shifted = match shift {
            2 => _mm256_slli_epi16::<2>(high),
            _ => _mm256_slli_epi16::<4>(high),
        };
        _mm256_or_si256(low, shifted)
    }
}

#[inline(always)]
fn dot<const FULL: bool>(sums: __m256i, bytes: __m256i, quants: i32) -> __m256i {
    // SAFETY: only kernels that `Detected::run` entered get here (see `Simd`).
    unsafe {
        let (quants, ones) = (_mm256_set1_epi32(quants), _mm256_set1_epi16(1));
        if FULL {
            // Pairs of products are at most 2 * 128 * 127 for the highest bit and for the others, which int16 holds.
            let top = _mm256_set1_epi8(i8::MIN);
            let high = _mm256_maddubs_epi16(_mm256_and_si256(bytes, top), quants);
            let low = _mm256_maddubs_epi16(_mm256_andnot_si256(top, bytes), quants);
            let both = _mm256_add_epi32(_mm256_madd_epi16(high, ones), _mm256_madd_epi16(low, ones));
            _mm256_add_epi32(sums, both)
        } else {
            let pairs = _mm256_maddubs_epi16(bytes, quants);
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, ones))
        }
    }
}
