//! Functions of our own, so that every instruction set gives the same bits.

use crate::simd::Simd;

/// Adding and subtracting it rounds to a whole number, ties to even: at `1.5 * 2^23` a float32 has no fraction.
pub(crate) const ROUND: f32 = 12_582_912.0;
/// `ln 2` in two parts: the first has 9 bits of zeros at its end, so that its products with exponents are exact.
const LN2_HIGH: f32 = 355.0 / 512.0;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Beyond it `e^x` is no normal float32; what is smaller counts as `e^-87`, 1.6e-38.
const LOWEST: f32 = -87.0;
/// Beyond it `e^x` is no float32; what is larger counts as `e^88`, 1.7e38.
const HIGHEST: f32 = 88.0;
/// `1 / n!` from the seventh to the second: with `|r| <= ln(2) / 2` the rest of the series is below 6e-9.
const SERIES: [f32; 6] = [
    1.0 / 5040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    1.0 / 2.0,
];

/// `e^x` within 2 units in the last place: `2^n e^r` with `x = n ln 2 + r`. A NaN stays one.
#[inline(always)]
pub(crate) fn exp<S: Simd>(x: S) -> S {
    let x = S::splat(LOWEST).max(S::splat(HIGHEST).min(x));
    let n = x
        .fma(S::splat(std::f32::consts::LOG2_E), S::splat(ROUND))
        .sub(S::splat(ROUND));
    let r = n.fma(S::splat(-LN2_HIGH), x);
    let r = n.fma(S::splat(-LN2_LOW), r);
    let mut series = S::splat(SERIES[0]);
    for coefficient in &SERIES[1..] {
        series = series.fma(r, S::splat(*coefficient));
    }
    let series = series.fma(r, S::splat(1.0)).fma(r, S::splat(1.0));
    series.mul(n.power_of_two())
}

/// `x / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn silu<S: Simd>(x: S) -> S {
    let negative = S::zero().sub(x);
    x.div(S::splat(1.0).add(exp(negative)))
}

#[cfg(test)]
mod tests {
    use super::exp;
    use crate::simd::{Portable, Simd};

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for step in -8700..=8800_i16 {
            let x = f32::from(step) / 100.0;
            let mut lanes = [0.0; 16];
            exp(Portable::splat(x)).store(&mut lanes);
            let exact = f64::from(x).exp();
            let unit = f64::from(f32::EPSILON) * exact;
            assert!(
                (f64::from(lanes[0]) - exact).abs() <= 2.0 * unit,
                "exp({x}) = {}",
                lanes[0]
            );
        }
    }

    #[test]
    fn exp_beyond_its_range_is_finite_and_a_nan_stays_one() {
        let mut lanes = [0.0; 16];
        exp(Portable::splat(f32::INFINITY)).store(&mut lanes);
        assert!(lanes[0].is_finite() && lanes[0] > 1e38);
        exp(Portable::splat(f32::NEG_INFINITY)).store(&mut lanes);
        assert!(lanes[0] > 0.0 && lanes[0] < 1e-37);
        exp(Portable::splat(f32::NAN)).store(&mut lanes);
        assert!(lanes[0].is_nan());
    }
}
