//! Rotary position embedding (arXiv 2104.09864).

use mains_contract::RopePairing;

use super::narrow;

/// How heads are rotated.
pub(crate) struct Rotation<'a> {
    pub(crate) head_dim: usize,
    pub(crate) inverse_frequencies: &'a [f32],
    pub(crate) pairing: RopePairing,
    pub(crate) scale: f32,
    pub(crate) start: usize,
}

/// Rotates the pairs of each head by `position * inverse_frequency` and scales them.
pub(crate) fn rope(x: &[f32], rotation: &Rotation<'_>, position: u32, out: &mut [f32]) {
    let pairs = rotation.inverse_frequencies.len();
    let scale = f64::from(rotation.scale);
    let heads = x.chunks_exact(rotation.head_dim);
    for (x, out) in heads.zip(out.chunks_exact_mut(rotation.head_dim)) {
        out.copy_from_slice(x);
        for (pair, inverse_frequency) in rotation.inverse_frequencies.iter().enumerate() {
            let (first, second) = match rotation.pairing {
                RopePairing::Halves => (pair, pair + pairs),
                RopePairing::Neighbours => (2 * pair, 2 * pair + 1),
            };
            let (first, second) = (rotation.start + first, rotation.start + second);
            let (sin, cos) = (f64::from(position) * f64::from(*inverse_frequency)).sin_cos();
            let (a, b) = (f64::from(x[first]), f64::from(x[second]));
            out[first] = narrow((a * cos - b * sin) * scale);
            out[second] = narrow((a * sin + b * cos) * scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rotation, rope};
    use mains_contract::RopePairing;

    const QUARTER: f32 = std::f32::consts::FRAC_PI_2;

    fn rotated(
        x: &[f32],
        inverse_frequencies: &[f32],
        pairing: RopePairing,
        start: usize,
        scale: f32,
    ) -> Vec<f32> {
        let rotation = Rotation {
            head_dim: x.len(),
            inverse_frequencies,
            pairing,
            scale,
            start,
        };
        let mut out = vec![0.0; x.len()];
        rope(x, &rotation, 1, &mut out);
        out
    }

    fn close(found: &[f32], expected: &[f32]) -> bool {
        found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
    }

    #[test]
    fn a_quarter_turn_swaps_a_pair_and_the_rest_passes() {
        let halves = rotated(&[1.0, 2.0, 7.0], &[QUARTER], RopePairing::Halves, 0, 1.0);
        assert!(close(&halves, &[-2.0, 1.0, 7.0]), "{halves:?}");
        let neighbours = rotated(
            &[1.0, 0.0, 0.0, 1.0],
            &[0.0, QUARTER],
            RopePairing::Neighbours,
            0,
            1.0,
        );
        assert!(close(&neighbours, &[1.0, 0.0, -1.0, 0.0]), "{neighbours:?}");
    }

    #[test]
    fn a_rotation_may_start_within_the_head_and_scale() {
        let halves = rotated(&[9.0, 1.0, 2.0, 7.0], &[QUARTER], RopePairing::Halves, 1, 3.0);
        assert!(close(&halves, &[9.0, -6.0, 3.0, 7.0]), "{halves:?}");
    }
}
