//! Rotary position embedding (arXiv 2104.09864).

use mains_contract::RopePairing;

use crate::isa::Kernel;
use crate::simd::Simd;

/// Writes the cosines, then the sines of `position * inverse_frequency`, all times `scale`, each computed in float64 and
/// rounded once.
#[expect(clippy::cast_possible_truncation, reason = "rounded to float32 on purpose")]
pub(crate) fn fill_angles(inverse_frequencies: &[f32], scale: f32, position: u32, angles: &mut [f32]) {
    let (cosines, sines) = angles.split_at_mut(angles.len() / 2);
    for ((inverse_frequency, cosine), sine) in inverse_frequencies.iter().zip(cosines).zip(sines) {
        let (sin, cos) = (f64::from(position) * f64::from(*inverse_frequency)).sin_cos();
        let scale = f64::from(scale);
        (*sine, *cosine) = ((sin * scale) as f32, (cos * scale) as f32);
    }
}

/// Rotates each head of one row.
pub(crate) struct Rope<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) head_dim: usize,
    /// First number of a head that is rotated.
    pub(crate) start: usize,
    pub(crate) pairs: usize,
    pub(crate) pairing: RopePairing,
    /// As [`fill_angles`] writes them.
    pub(crate) angles: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Kernel for Rope<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (cosines, sines) = self.angles.split_at(self.angles.len() / 2);
        let (cosines, sines) = (&cosines[..self.pairs], &sines[..self.pairs]);
        let heads = self
            .x
            .chunks_exact(self.head_dim)
            .zip(self.out.chunks_exact_mut(self.head_dim));
        for (x, out) in heads {
            let rotated = self.start..self.start + 2 * self.pairs;
            out[..self.start].copy_from_slice(&x[..self.start]);
            out[rotated.end..].copy_from_slice(&x[rotated.end..]);
            let (x, out) = (&x[rotated.clone()], &mut out[rotated]);
            match self.pairing {
                RopePairing::Halves => {
                    let (a, b) = (&x[..self.pairs], &x[self.pairs..]);
                    let (out_a, out_b) = out.split_at_mut(self.pairs);
                    for pair in 0..self.pairs {
                        (out_a[pair], out_b[pair]) = rotate(a[pair], b[pair], cosines[pair], sines[pair]);
                    }
                }
                RopePairing::Neighbours => {
                    let (x, out) = (x.as_chunks::<2>().0, out.as_chunks_mut::<2>().0);
                    for pair in 0..self.pairs {
                        (out[pair][0], out[pair][1]) =
                            rotate(x[pair][0], x[pair][1], cosines[pair], sines[pair]);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn rotate(a: f32, b: f32, cosine: f32, sine: f32) -> (f32, f32) {
    (a.mul_add(cosine, -(b * sine)), a.mul_add(sine, b * cosine))
}
