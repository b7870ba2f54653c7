//! How much of each weight a token is multiplied by: what speed hangs on, whatever the formats.

use crate::{Graph, Op, WeightUse};

/// Numbers of one weight that products read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Products {
    /// For each token of a step. Of a stack of experts only those that are chosen count; of a table, none.
    pub per_token: u64,
    /// For each output row besides.
    pub per_output_row: u64,
}

impl Graph {
    /// By weight, in the order of [`Graph::weights`].
    #[must_use]
    pub fn products(&self) -> Vec<Products> {
        let mut found = vec![Products::default(); self.weights().len()];
        for node in self.nodes() {
            let weights = node.op.weights().into_iter();
            for (id, _) in weights.filter(|(_, used)| *used == WeightUse::Matrix) {
                let declared = self.weight(id);
                let numbers = (declared.rows as u64).saturating_mul(declared.cols as u64);
                let numbers = match node.op {
                    Op::ExpertLinear { experts, used, .. } => {
                        (numbers / (experts as u64).max(1)).saturating_mul(used as u64)
                    }
                    _ => numbers,
                };
                let products = &mut found[id.0 as usize];
                let sum = if node.selected {
                    &mut products.per_output_row
                } else {
                    &mut products.per_token
                };
                *sum = sum.saturating_add(numbers);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Products;
    use crate::{GraphBuilder, Op, OutputName};

    #[test]
    fn a_tied_table_counts_where_it_is_multiplied() {
        let mut graph = GraphBuilder::new();
        let table = graph.weight("token_embd.weight", 10, 4).unwrap();
        let matrix = graph.weight("matrix", 4, 4).unwrap();
        let linear = |weight| Op::Linear { weight, bias: None };
        let x = graph.push(Op::Embed { table }, &[]).unwrap();
        let x = graph.push(linear(matrix), &[x]).unwrap();
        let x = graph.push(linear(matrix), &[x]).unwrap();
        let x = graph.push(Op::SelectRows, &[x]).unwrap();
        let logits = graph.push(linear(table), &[x]).unwrap();
        graph.output(OutputName::Logits, logits);
        let of = |per_token, per_output_row| Products {
            per_token,
            per_output_row,
        };
        assert_eq!(graph.build().products(), [of(0, 40), of(32, 0)]);
    }
}
