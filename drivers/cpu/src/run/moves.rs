//! Operations that only move numbers.

use std::ops::Range;

use mains_blocks::dequantize;
use mains_contract::{Node, Step, WeightId};

use super::CpuModel;
use super::operations::{COST_COPY, by_row, two};
use super::values::Out;
use crate::kernels::UnpackRow;

impl CpuModel {
    /// Rows `numbers + offset` of a table.
    pub(super) fn embed(&self, table: WeightId, numbers: &[u32], offset: usize, out: Out<'_>) {
        let (isa, matrix) = (self.isa, self.weights.matrix(table));
        let width = matrix.cols;
        by_row(&self.pool, numbers.len(), width, COST_COPY, out, |_, row, out| {
            let row = numbers[row] as usize + offset;
            if matrix.kept.packed {
                isa.run(UnpackRow {
                    format: matrix.kept.format,
                    bytes: matrix.bytes,
                    row,
                    out,
                });
            } else {
                let row_bytes = matrix.bytes.len() / matrix.rows;
                dequantize(
                    matrix.kept.format,
                    &matrix.bytes[row * row_bytes..][..row_bytes],
                    out,
                )
                .expect("the bytes are those of a row: the weight was checked when it was loaded");
            }
        });
    }

    /// Some numbers of the step's input rows.
    pub(super) fn input(&self, start: usize, width: usize, step: &Step<'_>, out: Out<'_>) {
        let stride = self.graph.input_width();
        by_row(
            &self.pool,
            step.tokens.len(),
            width,
            COST_COPY,
            out,
            |_, row, out| {
                out.copy_from_slice(&step.inputs[row * stride + start..][..width]);
            },
        );
    }

    /// The numbers `kept` of each group.
    pub(super) fn slice(&self, group: usize, kept: Range<usize>, node: &Node, rows: usize, out: Out<'_>) {
        let x = self.values.rows(node.inputs[0]);
        by_row(&self.pool, rows, node.width, COST_COPY, out, |_, row, out| {
            let groups = x.row(row).chunks_exact(group);
            for (x, out) in groups.zip(out.chunks_exact_mut(kept.len())) {
                out.copy_from_slice(&x[kept.clone()]);
            }
        });
    }

    /// Group by group a's numbers, then b's; `broadcast`: all of b's each time.
    pub(super) fn concat(&self, groups: usize, broadcast: bool, node: &Node, rows: usize, out: Out<'_>) {
        let [a, b] = two(self, node);
        let (a_group, b_step) = (a.width / groups, if broadcast { 0 } else { b.width / groups });
        let group = node.width / groups;
        by_row(&self.pool, rows, node.width, COST_COPY, out, |_, row, out| {
            let (a, b) = (a.row(row), b.row(row));
            for (at, out) in out.chunks_exact_mut(group).enumerate() {
                let (first, second) = out.split_at_mut(a_group);
                first.copy_from_slice(&a[at * a_group..][..a_group]);
                second.copy_from_slice(&b[at * b_step..][..group - a_group]);
            }
        });
    }

    /// The step's output rows.
    pub(super) fn select(&self, node: &Node, step: &Step<'_>, out: Out<'_>) {
        let x = self.values.rows(node.inputs[0]);
        by_row(
            &self.pool,
            step.output_rows.len(),
            node.width,
            COST_COPY,
            out,
            |_, row, out| {
                out.copy_from_slice(x.row(step.output_rows[row] as usize));
            },
        );
    }
}
