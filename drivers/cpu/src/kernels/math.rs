//! Functions of our own, so that every instruction set gives the same bits.

use mains_contract::Activation;

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

/// `erfc(z) e^(z^2) = t P(t)` with `t = 1 / (1 + 0.35 z)`.
const ERFC_SCALE: f32 = 0.35;
/// P from the ninth power to the constant: a fit at 400 Chebyshev nodes for z up to 13, relative error 1.6e-8.
const ERFC: [f32; 10] = [
    0.039_519_63,
    -0.165_666_49,
    0.199_011_74,
    -0.053_593_07,
    0.110_794_54,
    0.131_976_95,
    0.156_532_03,
    0.186_646_76,
    0.197_303_56,
    0.197_474_55,
];
/// `2 sqrt(2 / pi)`.
const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769_2;

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

/// `e^x - 1`, to a few units in the last place also where it is small: `2^n (e^r - 1) + (2^n - 1)` as in [`exp`].
#[inline(always)]
fn exp_less_one<S: Simd>(x: S) -> S {
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
    let power = n.power_of_two();
    let series = series.mul(r).fma(r, r);
    series.fma(power, power.sub(S::splat(1.0)))
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(x: S) -> S {
    let negative = S::zero().sub(x);
    S::splat(1.0).div(S::splat(1.0).add(exp(negative)))
}

/// `x / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn silu<S: Simd>(x: S) -> S {
    let negative = S::zero().sub(x);
    x.div(S::splat(1.0).add(exp(negative)))
}

/// `tanh(x)` as `(e^2x - 1) / (e^2x - 1 + 2)`.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(x: S) -> S {
    let power = exp_less_one(x.add(x));
    power.div(power.add(S::splat(2.0)))
}

/// `ln(1 + e^x)` as `max(x, 0) + ln(1 + e^-|x|)`.
#[inline(always)]
fn softplus<S: Simd>(x: S) -> S {
    let negative = S::zero().sub(x);
    let small = exp(negative.min(x));
    // ln(1 + s) = 2 artanh(s / (2 + s)), whose series in at most 1/3 is short.
    let ratio = small.div(S::splat(2.0).add(small));
    let square = ratio.mul(ratio);
    let mut series = S::splat(1.0 / 15.0);
    for divisor in [13.0, 11.0, 9.0, 7.0, 5.0, 3.0_f32] {
        series = series.fma(square, S::splat(1.0 / divisor));
    }
    let half = series.mul(square).fma(ratio, ratio);
    S::zero().max(x).add(half.add(half))
}

/// `x / 2 (1 + erf(x / sqrt 2))` as `max(x, 0) - |x| erfc(|x| / sqrt 2) / 2`, with nothing that cancels.
#[inline(always)]
fn gelu<S: Simd>(x: S) -> S {
    let size = x.max(S::zero().sub(x));
    let z = size.mul(S::splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = S::splat(1.0).div(z.fma(S::splat(ERFC_SCALE), S::splat(1.0)));
    let mut series = S::splat(ERFC[0]);
    for coefficient in &ERFC[1..] {
        series = series.fma(t, S::splat(*coefficient));
    }
    let tail = exp(S::zero().sub(z.mul(z))).mul(series.mul(t));
    S::zero().max(x).sub(size.mul(tail.mul(S::splat(0.5))))
}

/// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`: with `1 + tanh(a) = 2 / (1 + e^-2a)` nothing cancels.
#[inline(always)]
fn gelu_tanh<S: Simd>(x: S) -> S {
    let cubic = x.mul(x).fma(S::splat(0.044_715), S::splat(1.0));
    let twice = x.mul(cubic).mul(S::splat(TWICE_SQRT_2_OVER_PI));
    x.mul(sigmoid(twice))
}

/// A function of one number.
#[inline(always)]
pub(crate) fn activate<S: Simd>(activation: Activation, x: S) -> S {
    match activation {
        Activation::Silu => silu(x),
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_tanh(x),
        Activation::Sigmoid => sigmoid(x),
        Activation::Relu => S::zero().max(x),
        Activation::Softplus => softplus(x),
        Activation::Tanh => tanh(x),
        Activation::ClampedSwiglu { .. } => unreachable!("a graph has it in gated operations alone"),
    }
}

/// A function of a gate, times what it gates.
#[inline(always)]
pub(crate) fn gate<S: Simd>(activation: Activation, gate: S, up: S) -> S {
    let Activation::ClampedSwiglu { alpha, limit } = activation else {
        return activate(activation, gate).mul(up);
    };
    let gate = S::splat(limit).min(gate);
    let up = S::splat(-limit).max(S::splat(limit).min(up));
    let share = sigmoid(gate.mul(S::splat(alpha)));
    gate.mul(share).mul(up.add(S::splat(1.0)))
}

#[cfg(test)]
mod tests {
    use mains_contract::Activation;

    use super::{activate, exp, gate};
    use crate::simd::{Portable, Simd};

    fn lane(vector: Portable) -> f32 {
        let mut lanes = [0.0; 16];
        vector.store(&mut lanes);
        lanes[0]
    }

    /// The error function by its series; 60 terms are enough up to 4.
    fn erf(x: f64) -> f64 {
        let (mut sum, mut term) = (0.0, x);
        for n in 0..60_i32 {
            sum += term / f64::from(2 * n + 1);
            term *= -x * x / f64::from(n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    fn exact(activation: Activation, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match activation {
            Activation::Silu => x * sigmoid(x),
            Activation::Gelu => x / 2.0 * (1.0 + erf(x / 2.0_f64.sqrt())),
            Activation::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                x / 2.0 * (1.0 + inner.tanh())
            }
            Activation::Sigmoid => sigmoid(x),
            Activation::Relu => x.max(0.0),
            Activation::Softplus => x.exp().ln_1p(),
            Activation::Tanh => x.tanh(),
            Activation::ClampedSwiglu { .. } => f64::NAN,
        }
    }

    #[test]
    fn activations_are_as_exact_as_float32_allows() {
        for activation in [
            Activation::Silu,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Sigmoid,
            Activation::Relu,
            Activation::Softplus,
            Activation::Tanh,
        ] {
            for step in -5000..=5000_i16 {
                let x = f32::from(step) / 1000.0;
                let (found, exact) = (
                    f64::from(lane(activate(activation, Portable::splat(x)))),
                    exact(activation, f64::from(x)),
                );
                // Far in the tail of an error function its argument's own rounding grows.
                let allowed = 1e-6 * exact.abs() + 1e-9;
                assert!(
                    (found - exact).abs() <= allowed,
                    "{activation:?}({x}) = {found}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn activations_beyond_the_range_of_exp_reach_their_limits() {
        let far = |activation| [-1e6, 1e6].map(|x| lane(activate(activation, Portable::splat(x))));
        assert_eq!(far(Activation::Tanh), [-1.0, 1.0]);
        assert_eq!(far(Activation::Gelu)[1], 1e6);
        assert!(far(Activation::Gelu)[0].abs() < 1e-37);
        assert_eq!(far(Activation::GeluTanh)[1], 1e6);
        assert_eq!(far(Activation::Softplus)[1], 1e6);
        assert!(far(Activation::Sigmoid)[0] < 1e-37);
    }

    #[test]
    fn a_clamped_gate_is_clamped_on_one_side_and_what_it_gates_on_both() {
        let activation = Activation::ClampedSwiglu {
            alpha: 1.702,
            limit: 7.0,
        };
        let found = |a, b| lane(gate(activation, Portable::splat(a), Portable::splat(b)));
        assert_eq!(found(9.0, 9.0), found(7.0, 7.0));
        assert_eq!(found(-1.0, -9.0), found(-1.0, -7.0));
        let sigmoid = 1.0 / (1.0 + f32::exp(-1.702));
        assert!((found(1.0, 2.0) - sigmoid * 3.0).abs() < 1e-6);
        assert!(found(-9.0, 0.0) != found(-7.0, 0.0));
    }

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
