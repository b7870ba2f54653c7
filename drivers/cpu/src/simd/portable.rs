//! The definition of every primitive, without intrinsics.

use half::{bf16, f16};

use super::{LANES, Simd, VECTOR_BYTES};

/// 16 lanes in an array.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, combine: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| combine(self.0[lane], other.0[lane])))
    }

    #[inline(always)]
    fn fold(self, combine: impl Fn(f32, f32) -> f32) -> f32 {
        let mut lanes = self.0;
        for distance in [8, 4, 2, 1] {
            for lane in 0..distance {
                lanes[lane] = combine(lanes[lane], lanes[lane + distance]);
            }
        }
        lanes[0]
    }
}

impl Simd for Portable {
    const WIDE: bool = false;
    type Bytes = [u8; VECTOR_BYTES];
    type Ints = [i32; LANES];

    #[inline(always)]
    fn splat(number: f32) -> Self {
        Self([number; LANES])
    }

    #[inline(always)]
    fn load(numbers: &[f32; LANES]) -> Self {
        Self(*numbers)
    }

    #[inline(always)]
    fn load_f16(numbers: &[f16; LANES]) -> Self {
        Self(numbers.map(f16::to_f32))
    }

    #[inline(always)]
    fn load_bf16(numbers: &[bf16; LANES]) -> Self {
        Self(numbers.map(bf16::to_f32))
    }

    #[inline(always)]
    fn load_u8(numbers: &[u8; LANES]) -> Self {
        Self(numbers.map(f32::from))
    }

    #[inline(always)]
    fn load_i8(numbers: &[i8; LANES]) -> Self {
        Self(numbers.map(f32::from))
    }

    #[inline(always)]
    fn store(self, numbers: &mut [f32; LANES]) {
        *numbers = self.0;
    }

    #[inline(always)]
    fn store_f16(self, numbers: &mut [f16; LANES]) {
        *numbers = self.0.map(f16::from_f32);
    }

    #[inline(always)]
    fn fma(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            self.0[lane].mul_add(factor.0[lane], addend.0[lane])
        }))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole numbers from -126 to 127: a biased exponent of 1 to 254"
    )]
    fn power_of_two(self) -> Self {
        Self(
            self.0
                .map(|exponent| f32::from_bits(((exponent as i32 + 127) as u32) << 23)),
        )
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        self.fold(|a, b| a + b)
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        self.fold(|a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn load_bytes(bytes: &[u8; VECTOR_BYTES]) -> Self::Bytes {
        *bytes
    }

    #[inline(always)]
    fn store_bytes(bytes: Self::Bytes, to: &mut [u8; VECTOR_BYTES]) {
        *to = bytes;
    }

    #[inline(always)]
    fn bits(bytes: Self::Bytes, shift: usize, mask: u8) -> Self::Bytes {
        bytes.map(|byte| byte >> shift & mask)
    }

    #[inline(always)]
    fn join(low: Self::Bytes, high: Self::Bytes, shift: usize) -> Self::Bytes {
        std::array::from_fn(|at| low[at] | high[at] << shift)
    }

    #[inline(always)]
    fn look_up(table: &[u8; 16], bytes: Self::Bytes) -> Self::Bytes {
        bytes.map(|byte| table[usize::from(byte & 0x0f)])
    }

    #[inline(always)]
    fn ints(number: i32) -> Self::Ints {
        [number; LANES]
    }

    #[inline(always)]
    fn dot<const FULL: bool>(sums: Self::Ints, bytes: Self::Bytes, quants: [i8; 4]) -> Self::Ints {
        std::array::from_fn(|lane| {
            let mut sum = sums[lane];
            for at in 0..4 {
                sum += i32::from(bytes[4 * lane + at]) * i32::from(quants[at]);
            }
            sum
        })
    }

    #[inline(always)]
    #[expect(
        clippy::cast_precision_loss,
        reason = "rounded on purpose; sums of a block are below 2^24"
    )]
    fn floats(ints: Self::Ints) -> Self {
        Self(ints.map(|int| int as f32))
    }
}
