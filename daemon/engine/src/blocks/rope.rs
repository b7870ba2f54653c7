//! Rotary position embedding (arXiv 2104.09864).

use mains_contract::{GraphBuilder, GraphError, Op, RopePairing, ValueId};

/// How heads are rotated by their position.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// One inverse frequency a pair of numbers.
    pub inverse_frequencies: Vec<f32>,
    /// Which two numbers make a pair.
    pub pairing: RopePairing,
    /// Factor on cosine and sine: YaRN's attention factor, else 1.
    pub scale: f32,
    /// First number of the head that is rotated.
    pub start: usize,
}

impl Rope {
    /// The original frequencies, `base^(-2i / width)`, without scaling for longer contexts; the first `width` numbers
    /// of each head are rotated.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a head has far fewer than 2^24 numbers, and the operation takes float32"
    )]
    pub fn unscaled(base: f32, width: usize, pairing: RopePairing) -> Self {
        let frequency = |pair: usize| {
            let exponent = 2.0 * pair as f64 / width as f64;
            f64::from(base).powf(-exponent) as f32
        };
        Self {
            inverse_frequencies: (0..width / 2).map(frequency).collect(),
            pairing,
            scale: 1.0,
            start: 0,
        }
    }

    /// The same with each frequency divided by its factor.
    #[must_use]
    pub fn divided(mut self, factors: &[f32]) -> Self {
        for (frequency, factor) in self.inverse_frequencies.iter_mut().zip(factors) {
            *frequency /= factor;
        }
        self
    }

    /// Rotates every head of `input`.
    pub(super) fn push(
        &self,
        graph: &mut GraphBuilder,
        head_dim: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let op = Op::Rope {
            head_dim,
            inverse_frequencies: self.inverse_frequencies.clone(),
            pairing: self.pairing,
            scale: self.scale,
            start: self.start,
        };
        graph.push(op, &[input])
    }
}

#[cfg(test)]
mod tests {
    use super::Rope;
    use mains_contract::RopePairing;

    #[test]
    fn frequencies_fall_from_one_by_a_constant_factor() {
        let rope = Rope::unscaled(10_000.0, 8, RopePairing::Halves);
        assert_eq!(rope.inverse_frequencies, [1.0, 0.1, 0.01, 0.001]);
        let slower = rope.divided(&[1.0, 1.0, 2.0, 4.0]);
        assert_eq!(slower.inverse_frequencies, [1.0, 0.1, 0.005, 0.000_25]);
    }
}
