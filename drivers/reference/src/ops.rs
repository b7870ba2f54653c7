//! Operations on rows that need no state. A row is a slice as wide as the value.

use mains_contract::{Activation, RopePairing};

/// Sums that a dot product is split into. It changes nothing that a test can see - float64 sums of float32 products
/// are far more exact than what is compared with them - and keeps the oracle from being latency bound.
const SUMS: usize = 8;

/// `sum(a[i] * b[i])`.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let (a, a_rest) = a.as_chunks::<SUMS>();
    let (b, b_rest) = b.as_chunks::<SUMS>();
    let mut sums = [0.0_f64; SUMS];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(*a) * f64::from(*b);
        }
    }
    let rest: f64 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum();
    sums.iter().sum::<f64>() + rest
}

/// `out[o] = dot(x, matrix row o) + bias[o]`.
pub(crate) fn linear(x: &[f32], matrix: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    for (output, (number, row)) in out.iter_mut().zip(matrix.chunks_exact(x.len())).enumerate() {
        let offset = bias.map_or(0.0, |bias| f64::from(bias[output]));
        *number = narrow(dot(x, row) + offset);
    }
}

/// Root-mean-square norm of each group, times the gain (arXiv 1910.07467).
pub(crate) fn rms_norm(x: &[f32], gain: &[f32], epsilon: f32, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(gain.len()).zip(out.chunks_exact_mut(gain.len())) {
        let mean_square = dot(x, x) / x.len() as f64;
        let factor = 1.0 / (mean_square + f64::from(epsilon)).sqrt();
        for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
            *out = narrow(f64::from(*x) * factor * f64::from(*gain));
        }
    }
}

/// Rotates the pairs of each head by `position * inverse_frequency` (arXiv 2104.09864).
pub(crate) fn rope(
    x: &[f32],
    head_dim: usize,
    inverse_frequencies: &[f32],
    pairing: RopePairing,
    position: u32,
    out: &mut [f32],
) {
    let pairs = inverse_frequencies.len();
    for (x, out) in x.chunks_exact(head_dim).zip(out.chunks_exact_mut(head_dim)) {
        out.copy_from_slice(x);
        for (pair, inverse_frequency) in inverse_frequencies.iter().enumerate() {
            let (first, second) = match pairing {
                RopePairing::Halves => (pair, pair + pairs),
                RopePairing::Neighbours => (2 * pair, 2 * pair + 1),
            };
            let (sin, cos) = (f64::from(position) * f64::from(*inverse_frequency)).sin_cos();
            let (a, b) = (f64::from(x[first]), f64::from(x[second]));
            out[first] = narrow(a * cos - b * sin);
            out[second] = narrow(a * sin + b * cos);
        }
    }
}

/// `activation(gate) * up`.
pub(crate) fn gated(activation: Activation, gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        let gate = f64::from(*gate);
        let activated = match activation {
            _ => gate / (1.0 + (-gate).exp()),
        };
        *out = narrow(activated * f64::from(*up));
    }
}

/// `a + b`.
pub(crate) fn add(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a + b;
    }
}

/// The one rounding at the end of an operation.
#[expect(clippy::cast_possible_truncation, reason = "values are float32")]
pub(crate) fn narrow(number: f64) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use super::{add, gated, linear, rms_norm, rope};
    use mains_contract::{Activation, RopePairing};

    #[test]
    fn linear_multiplies_by_rows_and_adds_the_bias() {
        let mut out = [0.0; 2];
        linear(
            &[1.0, 2.0, 3.0],
            &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0],
            Some(&[0.5, -1.0]),
            &mut out,
        );
        assert_eq!(out, [1.5, 5.0]);
    }

    #[test]
    fn a_norm_has_a_mean_square_of_one_in_each_group() {
        let mut out = [0.0; 4];
        rms_norm(&[3.0, -3.0, 5.0, 5.0], &[1.0, 2.0], 0.0, &mut out);
        assert_eq!(out, [1.0, -2.0, 1.0, 2.0]);
    }

    #[test]
    fn a_quarter_turn_swaps_a_pair_and_the_rest_passes() {
        let quarter = [std::f32::consts::FRAC_PI_2];
        let mut out = [0.0; 3];
        rope(&[1.0, 2.0, 7.0], 3, &quarter, RopePairing::Halves, 1, &mut out);
        assert!((out[0] + 2.0).abs() < 1e-6 && (out[1] - 1.0).abs() < 1e-6);
        assert_eq!(out[2], 7.0);
        let mut neighbours = [0.0; 4];
        rope(
            &[1.0, 0.0, 0.0, 1.0],
            4,
            &[0.0, quarter[0]],
            RopePairing::Neighbours,
            1,
            &mut neighbours,
        );
        assert_eq!(neighbours[..2], [1.0, 0.0]);
        assert!((neighbours[2] + 1.0).abs() < 1e-6 && neighbours[3].abs() < 1e-6);
    }

    #[test]
    fn silu_at_known_points() {
        let mut out = [0.0; 3];
        gated(Activation::Silu, &[0.0, 1.0, -200.0], &[1.0, 2.0, 1.0], &mut out);
        assert_eq!(out[0], 0.0);
        assert!((out[1] - 2.0 * 0.731_058_6).abs() < 1e-6);
        assert!(out[2].abs() < 1e-30);
        add(&[1.0], &[2.0], &mut out[..1]);
        assert_eq!(out[0], 3.0);
    }
}
