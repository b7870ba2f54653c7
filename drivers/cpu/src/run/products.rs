//! Products with matrices, shared over the threads by outputs.

use mains_contract::{Node, Op, ValueId, WeightId};

use super::CpuModel;
use super::operations::COST_COPY;
use super::values::{Out, Rows};
use crate::disjoint::Disjoint;
use crate::isa::Detected;
use crate::kernels::{
    GROUP, Item, Items, PackedProduct, PlainProduct, PlainRows, Quantize, QuantizedRows, Sink, expert, groups,
};
use crate::load::Matrix;
use crate::pool::Pool;

/// A product of activations with the parts of a weight.
struct Product<'a> {
    isa: Detected,
    matrix: Matrix<'a>,
    /// One number an output of each part.
    bias: Option<&'a [f32]>,
    x: PlainRows<'a>,
    quantized: &'a QuantizedRows,
    out: Disjoint<'a, f32>,
    panels: Disjoint<'a, u8>,
    panel_bytes: usize,
}

impl Product<'_> {
    /// Outputs of a part.
    fn outputs(&self) -> usize {
        self.matrix.rows / self.matrix.kept.parts
    }

    /// One part, for the outputs in groups `first..end`.
    fn part(&self, part: usize, items: Items<'_>, first: usize, end: usize, thread: usize) {
        let outputs = self.outputs();
        let sink = Sink {
            out: &self.out,
            outputs,
            bias: self.bias.map(|bias| &bias[part * outputs..][..outputs]),
        };
        let (format, bytes) = (self.matrix.kept.format, self.matrix.part(part));
        if self.matrix.kept.packed {
            let panels = thread * self.panel_bytes..(thread + 1) * self.panel_bytes;
            self.isa.run(PackedProduct {
                format,
                bytes,
                cols: self.matrix.cols,
                x: self.quantized,
                items,
                groups: first..end,
                sink,
                // SAFETY: each thread has a share of its own, and drops it before its next part.
                panels: unsafe { self.panels.part(panels) },
            });
        } else {
            self.isa.run(PlainProduct {
                format,
                bytes,
                x: self.x,
                items,
                outputs: first * GROUP..outputs.min(end * GROUP),
                sink,
            });
        }
    }
}

impl CpuModel {
    /// The same matrix for all rows.
    pub(super) fn linear(
        &mut self,
        weight: WeightId,
        bias: Option<WeightId>,
        x: ValueId,
        rows: usize,
        out: Out<'_>,
    ) {
        let items = Items::Every {
            count: rows,
            first: Item { x: 0, out: 0 },
            step: Item {
                x: 1,
                out: out.stride,
            },
        };
        let (product, pool) = self.product(weight, bias, x, (1, rows), out);
        let cost = rows
            .saturating_mul(product.matrix.cols)
            .saturating_mul(product.matrix.rows);
        pool.share(groups(product.outputs()), 1, cost, |thread, range| {
            product.part(0, items, range.start, range.end, thread);
        });
    }

    /// A matrix for each head.
    pub(super) fn head_linear(
        &mut self,
        weight: WeightId,
        heads: usize,
        x: ValueId,
        rows: usize,
        out: Out<'_>,
    ) {
        let stride = out.stride;
        let (product, pool) = self.product(weight, None, x, (heads, rows), out);
        let outputs = product.outputs();
        let of_head = groups(outputs);
        let cost = rows
            .saturating_mul(product.matrix.cols)
            .saturating_mul(product.matrix.rows);
        pool.share(heads * of_head, 1, cost, |thread, range| {
            for head in range.start / of_head..range.end.div_ceil(of_head) {
                let items = Items::Every {
                    count: rows,
                    first: Item {
                        x: head,
                        out: head * outputs,
                    },
                    step: Item {
                        x: heads,
                        out: stride,
                    },
                };
                let first = range.start.max(head * of_head) - head * of_head;
                let end = range.end.min((head + 1) * of_head) - head * of_head;
                product.part(head, items, first, end, thread);
            }
        });
    }

    /// The matrix of each chosen expert: rows of one expert together, so that its weights are read once.
    pub(super) fn expert_linear(&mut self, node: &Node, rows: usize, out: Out<'_>) {
        let Op::ExpertLinear {
            weight,
            bias,
            experts,
            used,
            per_slot,
        } = &node.op
        else {
            unreachable!("only products with experts come here");
        };
        self.group_slots(node.inputs[1], rows, *experts, *used);
        let stride = out.stride;
        let (slots, starts) = (
            std::mem::take(&mut self.scratch.slots),
            std::mem::take(&mut self.scratch.starts),
        );
        let parts = if *per_slot { *used } else { 1 };
        let (product, pool) = self.product(*weight, *bias, node.inputs[0], (parts, rows), out);
        let outputs = product.outputs();
        let cost = (rows * used)
            .saturating_mul(product.matrix.cols)
            .saturating_mul(outputs);
        pool.share(groups(outputs), 1, cost, |thread, range| {
            for expert in 0..*experts {
                let list = &slots[starts[expert] as usize..starts[expert + 1] as usize];
                if !list.is_empty() {
                    let items = Items::Slots {
                        list,
                        used: *used,
                        per_slot: *per_slot,
                        row_stride: stride,
                        slot_stride: outputs,
                    };
                    product.part(expert, items, range.start, range.end, thread);
                }
            }
        });
        (self.scratch.slots, self.scratch.starts) = (slots, starts);
    }

    /// Sorts the slots of a route by expert, in the order of rows.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rows times slots of a route are below 2^32: each has an activation of several bytes"
    )]
    fn group_slots(&mut self, route: ValueId, rows: usize, experts: usize, used: usize) {
        let route = self.values.rows(route);
        let starts = &mut self.scratch.starts[..=experts];
        starts.fill(0);
        for row in 0..rows {
            for id in &route.row(row)[..used] {
                starts[expert(*id)] += 1;
            }
        }
        let mut end = 0;
        for start in starts.iter_mut() {
            end += *start;
            *start = end;
        }
        for row in (0..rows).rev() {
            for slot in (0..used).rev() {
                let start = &mut starts[expert(route.row(row)[slot])];
                *start -= 1;
                self.scratch.slots[*start as usize] = (row * used + slot) as u32;
            }
        }
    }

    /// What the threads share of a product of a value, whose rows are cut into `parts`, with `weight`.
    fn product<'a>(
        &'a mut self,
        weight: WeightId,
        bias: Option<WeightId>,
        value: ValueId,
        (parts, rows): (usize, usize),
        out: Out<'a>,
    ) -> (Product<'a>, &'a Pool) {
        if self.weights.matrix(weight).kept.packed && self.quantized_value != Some((value, parts)) {
            self.quantize(value, parts, rows);
        }
        let panel_bytes = self.plan.scratch.panel_bytes;
        let x = plain_rows(self.values.rows(value), parts);
        let product = Product {
            isa: self.isa,
            matrix: self.weights.matrix(weight),
            bias: bias.map(|bias| self.weights.vector(bias)),
            x,
            quantized: &self.quantized,
            out: Disjoint::new(out.numbers),
            panels: Disjoint::new(self.scratch.panels.bytes_mut()),
            panel_bytes,
        };
        (product, &self.pool)
    }

    /// Quantizes a value once for all products with it.
    fn quantize(&mut self, value: ValueId, parts: usize, rows: usize) {
        let rows_of = self.values.rows(value);
        let x = plain_rows(rows_of, parts);
        let isa = self.isa;
        let to = self.quantized.write(x.cols);
        let cost = rows * rows_of.width * COST_COPY;
        self.pool.share(rows * parts, 1, cost, |_, parts| {
            isa.run(Quantize { x, parts, to: &to });
        });
        self.quantized_value = Some((value, parts));
    }
}

fn plain_rows(rows: Rows<'_>, parts: usize) -> PlainRows<'_> {
    PlainRows {
        numbers: rows.numbers,
        stride: rows.stride,
        parts,
        cols: rows.width / parts,
    }
}
