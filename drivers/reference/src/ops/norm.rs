//! Norms of groups of consecutive numbers.

use super::linear::dot;
use super::narrow;

/// Root-mean-square norm of each group of `group` numbers, times the gain (arXiv 1910.07467).
pub(crate) fn rms_norm(x: &[f32], gain: Option<&[f32]>, epsilon: f32, group: usize, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(group).zip(out.chunks_exact_mut(group)) {
        let factor = 1.0 / (dot(x, x) / count(x) + f64::from(epsilon)).sqrt();
        for (at, (out, x)) in out.iter_mut().zip(x).enumerate() {
            *out = narrow(f64::from(*x) * factor * at_or(gain, at, 1.0));
        }
    }
}

/// Mean 0 and variance 1 of each group, times the gain, plus the bias (arXiv 1607.06450).
pub(crate) fn layer_norm(
    x: &[f32],
    gain: Option<&[f32]>,
    bias: Option<&[f32]>,
    epsilon: f32,
    group: usize,
    out: &mut [f32],
) {
    for (x, out) in x.chunks_exact(group).zip(out.chunks_exact_mut(group)) {
        let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / count(x);
        let squares = x.iter().map(|x| (f64::from(*x) - mean).powi(2));
        let factor = 1.0 / (squares.sum::<f64>() / count(x) + f64::from(epsilon)).sqrt();
        for (at, (out, x)) in out.iter_mut().zip(x).enumerate() {
            let normed = (f64::from(*x) - mean) * factor;
            *out = narrow(normed * at_or(gain, at, 1.0) + at_or(bias, at, 0.0));
        }
    }
}

/// Each group over the root of its sum of squares.
pub(crate) fn l2_norm(x: &[f32], epsilon: f32, group: usize, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(group).zip(out.chunks_exact_mut(group)) {
        let factor = 1.0 / (dot(x, x) + f64::from(epsilon)).sqrt();
        for (out, x) in out.iter_mut().zip(x) {
            *out = narrow(f64::from(*x) * factor);
        }
    }
}

fn at_or(vector: Option<&[f32]>, at: usize, otherwise: f64) -> f64 {
    vector.map_or(otherwise, |vector| f64::from(vector[at]))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a group has far fewer than 2^52 numbers"
)]
fn count(group: &[f32]) -> f64 {
    group.len() as f64
}

#[cfg(test)]
mod tests {
    use super::{l2_norm, layer_norm, rms_norm};

    #[test]
    fn a_root_mean_square_norm_has_a_mean_square_of_one_in_each_group() {
        let mut out = [0.0; 4];
        rms_norm(&[3.0, -3.0, 5.0, 5.0], Some(&[1.0, 2.0]), 0.0, 2, &mut out);
        assert_eq!(out, [1.0, -2.0, 1.0, 2.0]);
        rms_norm(&[3.0, -3.0, 5.0, 5.0], None, 0.0, 2, &mut out);
        assert_eq!(out, [1.0, -1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_layer_norm_forgets_mean_and_size() {
        let mut out = [0.0; 4];
        let (gain, bias) = ([2.0, 3.0], [10.0, 20.0]);
        layer_norm(
            &[1.0, 3.0, 104.0, 100.0],
            Some(&gain),
            Some(&bias),
            0.0,
            2,
            &mut out,
        );
        assert_eq!(out, [8.0, 23.0, 12.0, 17.0]);
        layer_norm(&[1.0, 3.0, 104.0, 100.0], None, None, 3.0, 2, &mut out);
        assert_eq!(out[..2], [-0.5, 0.5]);
    }

    #[test]
    fn a_group_gets_length_one() {
        let mut out = [0.0; 4];
        l2_norm(&[3.0, 4.0, 0.0, 0.0], 0.0, 2, &mut out[..2]);
        assert_eq!(out[..2], [0.6, 0.8]);
        l2_norm(&[0.0, 0.0, 3.0, 0.0], 16.0, 4, &mut out);
        assert_eq!(out, [0.0, 0.0, 0.6, 0.0]);
    }
}
