//! Operations on one number at a time.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use mains_contract::Activation;

use super::narrow;

/// `activation(gate) * up`.
pub(crate) fn gated(activation: Activation, gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        let (gate, up) = (f64::from(*gate), f64::from(*up));
        *out = narrow(match activation {
            Activation::ClampedSwiglu { alpha, limit } => {
                let limit = f64::from(limit);
                let gate = gate.min(limit);
                gate * sigmoid(f64::from(alpha) * gate) * (up.clamp(-limit, limit) + 1.0)
            }
            _ => activated(activation, gate) * up,
        });
    }
}

/// `activation(x)`.
pub(crate) fn activate(activation: Activation, x: &[f32], out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = narrow(activated(activation, f64::from(*x)));
    }
}

/// The function of one number; of a gate's that of the gate alone, without clamp.
pub(crate) fn activated(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Silu => x * sigmoid(x),
        Activation::Gelu => 0.5 * x * (1.0 + libm::erf(x * FRAC_1_SQRT_2)),
        Activation::GeluTanh => {
            let inner = FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Sigmoid => sigmoid(x),
        Activation::Relu => x.max(0.0),
        // Without the split e^x is infinite where the result is x.
        Activation::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Activation::Tanh => x.tanh(),
        Activation::ClampedSwiglu { alpha, .. } => x * sigmoid(f64::from(alpha) * x),
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `a + b`.
pub(crate) fn add(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a + b;
    }
}

/// `a * b`, each number of b for as many of a as there are to each.
pub(crate) fn multiply(a: &[f32], b: &[f32], out: &mut [f32]) {
    let group = a.len() / b.len();
    let groups = out.chunks_exact_mut(group).zip(a.chunks_exact(group));
    for ((out, a), b) in groups.zip(b) {
        scale(a, *b, out);
    }
}

/// `x * factor`.
pub(crate) fn scale(x: &[f32], factor: f32, out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = x * factor;
    }
}

/// `cap * tanh(x / cap)`.
pub(crate) fn soft_cap(x: &[f32], cap: f32, out: &mut [f32]) {
    let cap = f64::from(cap);
    for (out, x) in out.iter_mut().zip(x) {
        *out = narrow(cap * (f64::from(*x) / cap).tanh());
    }
}

#[cfg(test)]
mod tests {
    use super::{activate, add, gated, multiply, soft_cap};
    use mains_contract::Activation;

    /// At -3, -0.5, 0, 1 and 20, by `torch.nn.functional` 2.15 in float64.
    const PUBLISHED: [(Activation, [f64; 5]); 7] = [
        (
            Activation::Silu,
            [-0.142_277_62, -0.188_770_33, 0.0, 0.731_058_58, 19.999_999_96],
        ),
        (
            Activation::Gelu,
            [-0.004_049_69, -0.154_268_77, 0.0, 0.841_344_75, 20.0],
        ),
        (
            Activation::GeluTanh,
            [-0.003_637_39, -0.154_285_99, 0.0, 0.841_191_99, 20.0],
        ),
        (
            Activation::Sigmoid,
            [0.047_425_87, 0.377_540_67, 0.5, 0.731_058_58, 1.0],
        ),
        (Activation::Relu, [0.0, 0.0, 0.0, 1.0, 20.0]),
        (
            Activation::Softplus,
            [
                0.048_587_35,
                0.474_076_98,
                std::f64::consts::LN_2,
                1.313_261_69,
                20.0,
            ],
        ),
        (
            Activation::Tanh,
            [-0.995_054_75, -0.462_117_16, 0.0, 0.761_594_16, 1.0],
        ),
    ];

    #[test]
    fn functions_have_their_published_values() {
        for (activation, expected) in PUBLISHED {
            let mut found = [0.0; 5];
            activate(activation, &[-3.0, -0.5, 0.0, 1.0, 20.0], &mut found);
            for (found, expected) in found.iter().zip(expected) {
                let error = (f64::from(*found) - expected).abs();
                assert!(
                    error <= 1e-7 * expected.abs().max(0.1),
                    "{activation:?}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn functions_stay_finite_far_out() {
        for (activation, _) in PUBLISHED {
            let mut found = [0.0; 2];
            activate(activation, &[-3e4, 3e4], &mut found);
            assert!(
                found.iter().all(|number| number.is_finite()),
                "{activation:?}: {found:?}"
            );
        }
    }

    #[test]
    fn a_gate_multiplies_and_may_clamp() {
        let mut out = [0.0; 3];
        gated(Activation::Relu, &[2.0, -1.0, 3.0], &[5.0, 5.0, -1.0], &mut out);
        assert_eq!(out, [10.0, 0.0, -3.0]);
        let clamped = Activation::ClampedSwiglu {
            alpha: 1.702,
            limit: 7.0,
        };
        // 7 / (1 + e^(-1.702 * 7)) * 8, the same with up at -6, and an unclamped one.
        gated(clamped, &[100.0, 7.0, 1.0], &[100.0, -100.0, 0.5], &mut out);
        for (found, expected) in out.iter().zip([55.999_625, -41.999_719, 1.268_693_6]) {
            assert!((found - expected).abs() < 4e-5, "{found} {expected}");
        }
    }

    #[test]
    fn a_narrow_factor_serves_a_group_a_number() {
        let mut out = [0.0; 4];
        multiply(&[1.0, 2.0, 3.0, 4.0], &[10.0, -1.0], &mut out);
        assert_eq!(out, [10.0, 20.0, -3.0, -4.0]);
        multiply(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.0, 4.0], &mut out);
        assert_eq!(out, [1.0, 4.0, 9.0, 16.0]);
        add(&[1.0], &[2.0], &mut out[..1]);
        assert_eq!(out[0], 3.0);
    }

    #[test]
    fn a_soft_cap_bends_and_never_exceeds() {
        let mut out = [0.0; 3];
        soft_cap(&[0.0, 30.0, -1e9], 30.0, &mut out);
        assert_eq!((out[0], out[2]), (0.0, -30.0));
        assert!((out[1] - 22.847_826).abs() < 1e-5);
    }
}
