//! The operations of a step on rows by themselves, shared over the threads.

use mains_contract::{Node, Op, Step, ValueId};

use super::CpuModel;
use super::values::{Out, Rows};
use crate::disjoint::Disjoint;
use crate::kernels::{Function, Map, Norm, Normalise, Pairing, Rope, ScaleGroups, Zip};
use crate::plan::angle_numbers;
use crate::pool::Pool;

/// Cost of a number in multiply-adds: loads and stores.
pub(super) const COST_COPY: usize = 2;
/// Cost of a number in multiply-adds: an exponential and a division.
pub(super) const COST_EXP: usize = 16;

impl CpuModel {
    /// Computes `node`, the one at `index`.
    pub(super) fn node(&mut self, index: usize, node: &Node, step: &Step<'_>, out: Out<'_>) {
        let rows = rows_of(node, step);
        let weight = |id| self.weights.vector(id);
        let gain = |id: &Option<_>| id.map(weight);
        match &node.op {
            Op::RmsNorm {
                weight,
                epsilon,
                group,
            } => self.normalise(
                (Norm::RootMeanSquare(*epsilon), *group),
                [gain(weight), None],
                node,
                rows,
                out,
            ),
            Op::LayerNorm {
                weight,
                bias,
                epsilon,
                group,
            } => self.normalise(
                (Norm::Layer(*epsilon), *group),
                [gain(weight), gain(bias)],
                node,
                rows,
                out,
            ),
            Op::L2Norm { epsilon, group } => {
                self.normalise((Norm::Length(*epsilon), *group), [None, None], node, rows, out);
            }
            Op::Rope { .. } => self.rope(index, node, step, out),
            Op::Gated { activation } => self.pair(Pairing::Gate(*activation), node, rows, out),
            Op::Add => self.pair(Pairing::Sum, node, rows, out),
            Op::Multiply => self.multiply(node, rows, out),
            Op::Activate { activation } => self.map(Function::Activation(*activation), node, rows, out),
            Op::Scale { factor } => self.map(Function::Scale(*factor), node, rows, out),
            Op::SoftCap { cap } => self.map(Function::SoftCap(*cap), node, rows, out),
            Op::AddWeight { weight: id, row } => {
                let vector = &weight(*id)[row * node.width..][..node.width];
                self.with_vector(Pairing::Sum, vector, node.inputs[0], rows, out);
            }
            Op::MultiplyWeight { weight: id } => match weight(*id) {
                [factor] if node.width > 1 => self.map(Function::Scale(*factor), node, rows, out),
                vector => self.with_vector(Pairing::Product, vector, node.inputs[0], rows, out),
            },
            _ => self.node_across(node, step, rows, out),
        }
    }

    /// Operations of which a row reads more than rows of values, or values of more than one width.
    fn node_across(&mut self, node: &Node, step: &Step<'_>, rows: usize, out: Out<'_>) {
        match &node.op {
            Op::Input { start, width } => self.input(*start, *width, step, out),
            Op::Embed { table } => self.embed(*table, step.tokens, 0, out),
            Op::EmbedPosition { table, offset } => self.embed(*table, step.positions, *offset, out),
            Op::Slice { group, start, width } => {
                self.slice(*group, *start..*start + *width, node, rows, out);
            }
            Op::Concat { groups, broadcast } => self.concat(*groups, *broadcast, node, rows, out),
            Op::SelectRows => self.select(node, step, out),
            Op::Linear { weight, bias } => self.linear(*weight, *bias, node.inputs[0], rows, out),
            Op::HeadLinear { weight, heads } => {
                self.head_linear(*weight, *heads, node.inputs[0], rows, out);
            }
            Op::ExpertLinear { .. } => self.expert_linear(node, rows, out),
            Op::Route { .. } => self.route(node, rows, out),
            Op::CombineExperts { used } => self.combine(*used, node, rows, out),
            Op::Attention { state, .. } => self.attention(node, *state, step, out),
            Op::ShortConvolution { .. } => self.convolution(node, step, out),
            Op::GatedDelta { .. } => self.delta(node, step, out),
            other => unreachable!("{} reads rows alone", other.name()),
        }
    }

    fn normalise(
        &self,
        (norm, group): (Norm, usize),
        [gain, bias]: [Option<&[f32]>; 2],
        node: &Node,
        rows: usize,
        out: Out<'_>,
    ) {
        let (isa, x) = (self.isa, self.values.rows(node.inputs[0]));
        by_row(&self.pool, rows, x.width, COST_COPY, out, |_, row, out| {
            isa.run(Normalise {
                norm,
                group,
                x: x.row(row),
                gain,
                bias,
                out,
            });
        });
    }

    fn map(&self, function: Function, node: &Node, rows: usize, out: Out<'_>) {
        let (isa, x) = (self.isa, self.values.rows(node.inputs[0]));
        by_row(&self.pool, rows, x.width, COST_EXP, out, |_, row, out| {
            isa.run(Map {
                function,
                x: x.row(row),
                out,
            });
        });
    }

    fn pair(&self, pairing: Pairing, node: &Node, rows: usize, out: Out<'_>) {
        let (isa, [a, b]) = (self.isa, two(self, node));
        by_row(&self.pool, rows, a.width, COST_EXP, out, |_, row, out| {
            isa.run(Zip {
                pairing,
                a: a.row(row),
                b: b.row(row),
                out,
            });
        });
    }

    fn with_vector(&self, pairing: Pairing, vector: &[f32], x: ValueId, rows: usize, out: Out<'_>) {
        let (isa, x) = (self.isa, self.values.rows(x));
        by_row(&self.pool, rows, x.width, COST_COPY, out, |_, row, out| {
            isa.run(Zip {
                pairing,
                a: x.row(row),
                b: vector,
                out,
            });
        });
    }

    fn multiply(&self, node: &Node, rows: usize, out: Out<'_>) {
        let (isa, [a, b]) = (self.isa, two(self, node));
        if a.width == b.width {
            self.pair(Pairing::Product, node, rows, out);
            return;
        }
        by_row(&self.pool, rows, a.width, COST_COPY, out, |_, row, out| {
            isa.run(ScaleGroups {
                x: a.row(row),
                factors: b.row(row),
                out,
            });
        });
    }

    fn rope(&self, index: usize, node: &Node, step: &Step<'_>, out: Out<'_>) {
        let Op::Rope {
            head_dim,
            inverse_frequencies,
            pairing,
            start,
            ..
        } = &node.op
        else {
            unreachable!("only rotations come here");
        };
        let table = self.plan.angles_of[index].expect("the plan has a table for every rotation");
        let pairs = inverse_frequencies.len();
        let angles = self.angles[table].numbers();
        let row_numbers = angle_numbers(pairs);
        let (isa, x) = (self.isa, self.values.rows(node.inputs[0]));
        let rows = rows_of(node, step);
        by_row(&self.pool, rows, x.width, COST_COPY, out, |_, row, out| {
            let of_step = if node.selected {
                step.output_rows[row] as usize
            } else {
                row
            };
            let angles = &angles[of_step * row_numbers..][..row_numbers];
            isa.run(Rope {
                x: x.row(row),
                head_dim: *head_dim,
                start: *start,
                pairs,
                pairing: *pairing,
                angles,
                out,
            });
        });
    }
}

/// Rows of the output of `node`.
pub(super) fn rows_of(node: &Node, step: &Step<'_>) -> usize {
    if node.selected {
        step.output_rows.len()
    } else {
        step.tokens.len()
    }
}

/// Calls `work` with a thread's number and each of `rows` rows of `out`, whose cost is that of `width` numbers of
/// `number_cost` each.
pub(super) fn by_row(
    pool: &Pool,
    rows: usize,
    width: usize,
    number_cost: usize,
    out: Out<'_>,
    work: impl Fn(usize, usize, &mut [f32]) + Sync,
) {
    let Out {
        stride, width: own, ..
    } = out;
    let out = Disjoint::new(out.numbers);
    pool.share(rows, 1, rows * width * number_cost, |thread, rows| {
        for row in rows {
            // SAFETY: rows do not overlap, and this thread alone has this one.
            let out = unsafe { out.part(row * stride..row * stride + own) };
            work(thread, row, out);
        }
    });
}

/// The rows of two inputs.
pub(super) fn two<'a>(model: &'a CpuModel, node: &Node) -> [Rows<'a>; 2] {
    [0, 1].map(|input| model.values.rows(node.inputs[input]))
}
