//! Choosing experts, and summing what the chosen gave.

use mains_contract::{Node, Op};

use super::CpuModel;
use super::operations::{COST_COPY, COST_EXP, by_row, two};
use super::values::Out;
use crate::disjoint::Disjoint;
use crate::kernels::{CombineGroups, Router};

impl CpuModel {
    /// Ids and weights of the chosen of each row.
    pub(super) fn route(&mut self, node: &Node, rows: usize, out: Out<'_>) {
        let Op::Route {
            experts,
            scoring,
            normalise,
            scale,
            groups,
            bias,
            expert_scale,
            ..
        } = &node.op
        else {
            unreachable!("only routes come here");
        };
        let vector = |id: &Option<_>| id.map(|id| self.weights.vector(id));
        let router = Router {
            scoring: *scoring,
            normalise: *normalise,
            scale: *scale,
            groups: *groups,
            bias: vector(bias),
            expert_scale: vector(expert_scale),
        };
        let logits = self.values.rows(node.inputs[0]);
        let size = self.scratch.route.len() / self.pool.threads();
        let scratch = Disjoint::new(&mut self.scratch.route);
        by_row(&self.pool, rows, *experts, COST_EXP, out, |thread, row, out| {
            // SAFETY: each thread has a share of its own, and drops it before its next row.
            let scratch = unsafe { scratch.part(thread * size..thread * size + Router::scratch(*experts)) };
            router.route(logits.row(row), scratch, out);
        });
    }

    /// The sum of the slots of each row, each times its weight.
    pub(super) fn combine(&self, used: usize, node: &Node, rows: usize, out: Out<'_>) {
        let (isa, [x, route]) = (self.isa, two(self, node));
        by_row(&self.pool, rows, x.width, COST_COPY, out, |_, row, out| {
            isa.run(CombineGroups {
                x: x.row(row),
                factors: &route.row(row)[used..],
                out,
            });
        });
    }
}
