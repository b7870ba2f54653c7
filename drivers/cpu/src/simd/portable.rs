//! The definition of every primitive, without intrinsics.

use half::{bf16, f16};

use super::{HALF, LANES, Simd};

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
    type Quants = [i8; 2 * HALF];

    #[inline(always)]
    fn splat(number: f32) -> Self {
        Self([number; LANES])
    }

    #[inline(always)]
    fn pair(low: f32, high: f32) -> Self {
        Self(std::array::from_fn(
            |lane| if lane < LANES / 2 { low } else { high },
        ))
    }

    #[inline(always)]
    fn pair_f16(low: f16, high: f16) -> Self {
        Self::pair(low.to_f32(), high.to_f32())
    }

    #[inline(always)]
    fn octet(numbers: &[f32; 8]) -> Self {
        Self(std::array::from_fn(|lane| {
            numbers.get(lane).copied().unwrap_or(0.0)
        }))
    }

    #[inline(always)]
    fn octet_u8(numbers: u64) -> Self {
        Self::octet(&numbers.to_le_bytes().map(f32::from))
    }

    #[inline(always)]
    fn spread<const PAIR: i32>(self) -> Self {
        let first = 2 * PAIR as usize;
        Self::pair(self.0[first], self.0[first + 1])
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
    fn load_quants(low: &[i8; HALF], high: &[i8; HALF]) -> Self::Quants {
        std::array::from_fn(|at| if at < HALF { low[at] } else { high[at - HALF] })
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, reason = "from 0 to 15")]
    fn load_nibbles(bytes: &[u8; HALF]) -> Self::Quants {
        std::array::from_fn(|at| {
            if at < HALF {
                (bytes[at] & 0x0f) as i8
            } else {
                (bytes[at - HALF] >> 4) as i8
            }
        })
    }

    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "four products of int8 are below 2^24")]
    fn dot_i8(weights: Self::Quants, activations: Self::Quants) -> Self {
        Self(std::array::from_fn(|lane| {
            let mut sum = 0;
            for at in 4 * lane..4 * lane + 4 {
                sum += i32::from(weights[at]) * i32::from(activations[at]);
            }
            sum as f32
        }))
    }

    #[inline(always)]
    fn dot_u4(weights: Self::Quants, activations: Self::Quants) -> Self {
        Self::dot_i8(weights, activations)
    }
}
