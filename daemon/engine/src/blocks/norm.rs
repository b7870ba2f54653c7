//! Root-mean-square norm (arXiv 1910.07467).

use mains_contract::{GraphBuilder, GraphError, Op, ValueId};

/// A norm with one gain a number of its group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsNorm {
    /// Added to the mean square.
    pub epsilon: f32,
}

impl RmsNorm {
    /// Normalises groups of `group` numbers of `input`, with the gain called `weight`.
    pub(super) fn push(
        self,
        graph: &mut GraphBuilder,
        weight: &str,
        group: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let weight = graph.weight(weight, 1, group)?;
        let op = Op::RmsNorm {
            weight: Some(weight),
            epsilon: self.epsilon,
            group,
        };
        graph.push(op, &[input])
    }
}
