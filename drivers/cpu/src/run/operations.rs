//! The operations of a step, each shared over the threads by rows or by outputs.

use mains_blocks::dequantize;
use mains_contract::{Activation, Node, Op, RopePairing, Step, ValueId, WeightId};

use super::CpuModel;
use super::values::{Out, Rows};
use crate::disjoint::Disjoint;
use crate::kernels::{Add, Gated, Input, Linear, Quantize, RmsNorm, Rope};
use crate::plan::angle_numbers;
use crate::pool::Pool;

/// Outputs that a thread's share is a multiple of: whole cache lines of float32, so that threads do not write to the
/// same one.
const OUTPUT_GRAIN: usize = 16;
/// Cost of a number in multiply-adds: loads and stores.
const COST_COPY: usize = 2;
/// Cost of a number in multiply-adds: an exponential and a division.
const COST_EXP: usize = 16;

impl CpuModel {
    /// Computes `node`, the one at `index`.
    pub(super) fn node(&mut self, index: usize, node: &Node, step: &Step<'_>, out: Out<'_>) {
        let rows = if node.selected {
            step.output_rows.len()
        } else {
            step.tokens.len()
        };
        match &node.op {
            Op::Embed { table } => self.embed(*table, step, out),
            Op::Linear { weight, bias } => self.linear(*weight, *bias, node.inputs[0], rows, out),
            Op::RmsNorm {
                weight: Some(weight),
                epsilon,
                ..
            } => {
                let (isa, gain, epsilon) = (self.isa, self.weights.vector(*weight), *epsilon);
                let x = self.values.rows(node.inputs[0]);
                by_row(&self.pool, rows, x.width, COST_COPY, out, |row, out| {
                    isa.run(RmsNorm {
                        x: x.row(row),
                        gain,
                        epsilon,
                        out,
                    });
                });
            }
            Op::Rope {
                head_dim, pairing, ..
            } => self.rope(index, node, *head_dim, *pairing, step, out),
            Op::Attention { state, .. } => self.attention(node, *state, step, out),
            Op::Gated { activation } => self.gated(*activation, node, rows, out),
            Op::Add => {
                let (isa, a, b) = (
                    self.isa,
                    self.values.rows(node.inputs[0]),
                    self.values.rows(node.inputs[1]),
                );
                by_row(&self.pool, rows, a.width, COST_COPY, out, |row, out| {
                    isa.run(Add {
                        a: a.row(row),
                        b: b.row(row),
                        out,
                    });
                });
            }
            Op::SelectRows => select(self.values.rows(node.inputs[0]), step.output_rows, out),
            other => unreachable!("{} is refused before a load", other.name()),
        }
    }

    fn embed(&self, table: WeightId, step: &Step<'_>, out: Out<'_>) {
        let matrix = self.weights.matrix(table);
        let row_bytes = matrix.bytes.len() / matrix.rows;
        by_row(
            &self.pool,
            step.tokens.len(),
            matrix.cols,
            COST_COPY,
            out,
            |row, out| {
                let bytes = &matrix.bytes[step.tokens[row] as usize * row_bytes..][..row_bytes];
                dequantize(matrix.format, bytes, out)
                    .expect("the bytes are those of a row: the weight was checked when it was loaded");
            },
        );
    }

    fn linear(&mut self, weight: WeightId, bias: Option<WeightId>, x: ValueId, rows: usize, out: Out<'_>) {
        if self.weights.matrix(weight).format.is_quantized() && self.quantized_value != Some(x) {
            self.quantize(x, rows);
        }
        let matrix = self.weights.matrix(weight);
        let bias = bias.map(|bias| self.weights.vector(bias));
        let x = self.values.rows(x);
        let input = Input {
            x: x.numbers,
            stride: x.stride,
            quantized: &self.quantized,
        };
        let cost = rows.saturating_mul(matrix.cols).saturating_mul(matrix.rows);
        let (isa, out_stride) = (self.isa, out.stride);
        let out = Disjoint::new(out.numbers);
        self.pool.share(matrix.rows, OUTPUT_GRAIN, cost, |_, outputs| {
            isa.run(Linear {
                matrix,
                bias,
                input,
                rows,
                outputs,
                out: &out,
                out_stride,
            });
        });
    }

    /// Quantizes a value once for all products with it.
    fn quantize(&mut self, value: ValueId, rows: usize) {
        let Rows {
            numbers: x,
            stride,
            width: cols,
        } = self.values.rows(value);
        let isa = self.isa;
        let to = self.quantized.write(cols);
        self.pool.share(rows, 1, rows * cols * COST_COPY, |_, rows| {
            isa.run(Quantize {
                x,
                stride,
                cols,
                rows,
                to: &to,
            });
        });
        self.quantized_value = Some(value);
    }

    fn rope(
        &self,
        index: usize,
        node: &Node,
        head_dim: usize,
        pairing: RopePairing,
        step: &Step<'_>,
        out: Out<'_>,
    ) {
        let table = self.plan.angles_of[index].expect("the plan has a table for every rotation");
        let pairs = self.plan.angles[table].len();
        let angles = self.angles[table].numbers();
        let row_numbers = angle_numbers(pairs);
        let (isa, x) = (self.isa, self.values.rows(node.inputs[0]));
        let rows = if node.selected {
            step.output_rows.len()
        } else {
            step.tokens.len()
        };
        by_row(&self.pool, rows, x.width, COST_COPY, out, |row, out| {
            let of_step = if node.selected {
                step.output_rows[row] as usize
            } else {
                row
            };
            let angles = &angles[of_step * row_numbers..][..row_numbers];
            isa.run(Rope {
                x: x.row(row),
                head_dim,
                pairs,
                pairing,
                angles,
                out,
            });
        });
    }

    fn gated(&self, activation: Activation, node: &Node, rows: usize, out: Out<'_>) {
        let (gate, up) = (self.values.rows(node.inputs[0]), self.values.rows(node.inputs[1]));
        let isa = self.isa;
        by_row(&self.pool, rows, gate.width, COST_EXP, out, |row, out| {
            isa.run(Gated {
                activation,
                gate: gate.row(row),
                up: up.row(row),
                out,
            });
        });
    }
}

fn select(x: Rows<'_>, output_rows: &[u32], out: Out<'_>) {
    for (row, from) in output_rows.iter().enumerate() {
        out.numbers[row * out.stride..][..x.width].copy_from_slice(x.row(*from as usize));
    }
}

/// Calls `work` with each of `rows` rows of `width` numbers of `out`, which cost `number_cost` a number.
fn by_row(
    pool: &Pool,
    rows: usize,
    width: usize,
    number_cost: usize,
    out: Out<'_>,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    let stride = out.stride;
    let out = Disjoint::new(out.numbers);
    pool.share(rows, 1, rows * width * number_cost, |_, rows| {
        for row in rows {
            // SAFETY: rows do not overlap, and this thread alone has this one.
            let out = unsafe { out.part(row * stride..row * stride + width) };
            work(row, out);
        }
    });
}
