//! Norms of a row or of each head: root mean square (arXiv 1910.07467), layer (arXiv 1607.06450).

use mains_contract::{GraphBuilder, GraphError, Op, ValueId};

/// A norm over groups of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// What is learned, and what is divided by.
    pub kind: NormKind,
    /// Added to the mean square or the variance.
    pub epsilon: f32,
}

/// Which norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// By the root of the mean square, times a gain.
    Rms,
    /// The same without a gain.
    RmsWithoutGain,
    /// By the deviation from the mean, times a gain.
    Layer,
    /// The same, plus a bias.
    LayerWithBias,
}

impl Norm {
    /// The norm by root mean square with a gain.
    #[must_use]
    pub const fn rms(epsilon: f32) -> Self {
        Self {
            kind: NormKind::Rms,
            epsilon,
        }
    }

    /// Normalises groups of `group` numbers of `input`, with the gain called `name.weight` and the bias `name.bias`.
    pub(super) fn push(
        self,
        graph: &mut GraphBuilder,
        name: &str,
        group: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let mut learned = |what: &str| graph.weight(&format!("{name}.{what}"), 1, group);
        let epsilon = self.epsilon;
        let weight = match self.kind {
            NormKind::RmsWithoutGain => None,
            _ => Some(learned("weight")?),
        };
        let bias = match self.kind {
            NormKind::LayerWithBias => Some(learned("bias")?),
            _ => None,
        };
        let op = match self.kind {
            NormKind::Rms | NormKind::RmsWithoutGain => Op::RmsNorm {
                weight,
                epsilon,
                group,
            },
            NormKind::Layer | NormKind::LayerWithBias => Op::LayerNorm {
                weight,
                bias,
                epsilon,
                group,
            },
        };
        graph.push(op, &[input])
    }
}
