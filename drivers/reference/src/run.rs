//! One node of a step.

use mains_blocks::rotate;
use mains_contract::{Node, Op, SequenceSpan, StateId, StateSpec, Step, cache_rotation};

use crate::model::ReferenceModel;
use crate::ops::{self, AttentionShape, DeltaShape, Rotation, Router};

impl ReferenceModel {
    /// Computes all rows of `node` to `out`.
    pub(crate) fn run_node(&mut self, node: &Node, step: &Step<'_>, out: &mut [f32]) {
        match &node.op {
            Op::Attention { state, .. } => self.attention(node, *state, step, out),
            Op::ShortConvolution { .. } | Op::GatedDelta { .. } => {
                for (span, row) in rows_of(step) {
                    self.recurrent(node, step, span, row, &mut out[row * node.width..][..node.width]);
                }
            }
            Op::Route { .. } => {
                // Taken out while it is written beside values that are read.
                let mut scratch = std::mem::take(&mut self.scores);
                for (row, out) in out.chunks_exact_mut(node.width).enumerate() {
                    self.route(node, row, &mut scratch, out);
                }
                self.scores = scratch;
            }
            _ => {
                for (row, out) in out.chunks_exact_mut(node.width).enumerate() {
                    self.row(node, step, row, out);
                }
            }
        }
    }

    /// Row `row` of a node that depends on no other row.
    fn row(&self, node: &Node, step: &Step<'_>, row: usize, out: &mut [f32]) {
        match &node.op {
            Op::Input { .. }
            | Op::Embed { .. }
            | Op::EmbedPosition { .. }
            | Op::Rope { .. }
            | Op::SelectRows => self.placed_row(node, step, row, out),
            Op::Linear { .. }
            | Op::HeadLinear { .. }
            | Op::AddWeight { .. }
            | Op::MultiplyWeight { .. }
            | Op::RmsNorm { .. }
            | Op::LayerNorm { .. }
            | Op::ExpertLinear { .. } => self.weighted_row(node, row, out),
            _ => self.plain_row(node, row, out),
        }
    }

    /// Operations that know which row of the step they compute.
    fn placed_row(&self, node: &Node, step: &Step<'_>, row: usize, out: &mut [f32]) {
        let of_step = if node.selected {
            step.output_rows[row] as usize
        } else {
            row
        };
        match &node.op {
            Op::Input { start, width } => {
                let inputs = &step.inputs[of_step * self.graph.input_width()..];
                out.copy_from_slice(&inputs[*start..start + width]);
            }
            Op::Embed { table } => {
                let first = step.tokens[of_step] as usize * out.len();
                out.copy_from_slice(&self.weight(*table)[first..first + out.len()]);
            }
            Op::EmbedPosition { table, offset } => {
                let first = (step.positions[of_step] as usize + offset) * out.len();
                out.copy_from_slice(&self.weight(*table)[first..first + out.len()]);
            }
            Op::Rope {
                head_dim,
                inverse_frequencies,
                pairing,
                scale,
                start,
            } => {
                let rotation = Rotation {
                    head_dim: *head_dim,
                    inverse_frequencies,
                    pairing: *pairing,
                    scale: *scale,
                    start: *start,
                };
                let x = self.values.row(node.inputs[0], row);
                ops::rope(x, &rotation, step.positions[of_step], out);
            }
            Op::SelectRows => out.copy_from_slice(self.values.row(node.inputs[0], of_step)),
            other => unreachable!("{} needs no place in the step", other.name()),
        }
    }

    /// Operations on rows with weights.
    fn weighted_row(&self, node: &Node, row: usize, out: &mut [f32]) {
        let x = self.values.row(node.inputs[0], row);
        match &node.op {
            Op::Linear { weight, bias } => ops::linear(x, self.weight(*weight), self.vector(*bias), out),
            Op::HeadLinear { weight, heads } => ops::head_linear(x, self.weight(*weight), *heads, out),
            Op::AddWeight { weight, row } => {
                ops::add(x, &self.weight(*weight)[row * x.len()..][..x.len()], out);
            }
            Op::MultiplyWeight { weight } => ops::multiply(x, self.weight(*weight), out),
            Op::RmsNorm {
                weight,
                epsilon,
                group,
            } => ops::rms_norm(x, self.vector(*weight), *epsilon, *group, out),
            Op::LayerNorm {
                weight,
                bias,
                epsilon,
                group,
            } => ops::layer_norm(x, self.vector(*weight), self.vector(*bias), *epsilon, *group, out),
            Op::ExpertLinear {
                weight,
                bias,
                per_slot,
                ..
            } => {
                let route = self.values.row(node.inputs[1], row);
                let (matrices, bias) = (self.weight(*weight), self.vector(*bias));
                ops::expert_linear(x, route, matrices, bias, *per_slot, out);
            }
            other => unreachable!("{} has no weights", other.name()),
        }
    }

    /// Operations on rows alone.
    fn plain_row(&self, node: &Node, row: usize, out: &mut [f32]) {
        let input = |index: usize| self.values.row(node.inputs[index], row);
        match &node.op {
            Op::L2Norm { epsilon, group } => ops::l2_norm(input(0), *epsilon, *group, out),
            Op::Gated { activation } => ops::gated(*activation, input(0), input(1), out),
            Op::Activate { activation } => ops::activate(*activation, input(0), out),
            Op::Add => ops::add(input(0), input(1), out),
            Op::Multiply => ops::multiply(input(0), input(1), out),
            Op::Scale { factor } => ops::scale(input(0), *factor, out),
            Op::SoftCap { cap } => ops::soft_cap(input(0), *cap, out),
            Op::Slice { group, start, .. } => ops::slice(input(0), *group, *start, out),
            Op::Concat { groups, broadcast } => ops::concat(input(0), input(1), *groups, *broadcast, out),
            Op::CombineExperts { .. } => ops::combine(input(0), input(1), out),
            other => unreachable!("{} does not work on rows alone", other.name()),
        }
    }

    fn route(&self, node: &Node, row: usize, scratch: &mut [f64], out: &mut [f32]) {
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
        let router = Router {
            scoring: *scoring,
            normalise: *normalise,
            scale: *scale,
            groups: *groups,
            bias: self.vector(*bias),
            expert_scale: self.vector(*expert_scale),
        };
        let logits = self.values.row(node.inputs[0], row);
        router.route(logits, &mut scratch[..Router::scratch(*experts)], out);
    }

    fn attention(&mut self, node: &Node, id: StateId, step: &Step<'_>, out: &mut [f32]) {
        let Op::Attention {
            heads,
            kv_heads,
            head_dim,
            value_dim,
            scale,
            window,
            soft_cap,
            sinks,
            causal,
            value_from_key,
            ..
        } = &node.op
        else {
            unreachable!("only attention comes here");
        };
        let shape = AttentionShape {
            heads: *heads,
            kv_heads: *kv_heads,
            head_dim: *head_dim,
            value_dim: *value_dim,
            scale: *scale,
            window: *window,
            soft_cap: *soft_cap,
            sinks: sinks.map(|sinks| self.weights[sinks.0 as usize].as_slice()),
            causal: *causal,
            value_from_key: *value_from_key,
            rotation: match &self.graph.states()[id.0 as usize] {
                StateSpec::PerToken { format, .. } => cache_rotation(&node.op, *format),
                StateSpec::PerSequence { .. } => None,
            },
        };
        let rotated = |row: &[f32]| {
            let mut row = row.to_vec();
            shape.rotation.iter().for_each(|size| rotate(&mut row, *size));
            row
        };
        let state = self.states.tokens(id);
        for (span, row) in rows_of(step) {
            let position = step.positions[row] as usize;
            if let Some(keys) = node.inputs.get(1) {
                state.write_keys(span.blocks, position, &rotated(self.values.row(*keys, row)));
            }
            if let Some(values) = node.inputs.get(2) {
                state.write_values(span.blocks, position, &rotated(self.values.row(*values, row)));
            }
        }
        for (span, row) in rows_of(step) {
            let last = span.first_row + span.rows - 1;
            let places = [
                step.positions[row] as usize,
                step.positions[last as usize] as usize + 1,
            ];
            let (queries, out) = (
                self.values.row(node.inputs[0], row),
                &mut out[row * node.width..][..node.width],
            );
            ops::attend(&shape, state, span.blocks, places, queries, &mut self.scores, out);
        }
    }

    /// One token of an operation that sums its sequence up.
    fn recurrent(
        &mut self,
        node: &Node,
        step: &Step<'_>,
        span: &SequenceSpan<'_>,
        row: usize,
        out: &mut [f32],
    ) {
        let starts = step.positions[row] == 0;
        match &node.op {
            Op::ShortConvolution {
                state,
                weight,
                activation,
            } => {
                let state = self.states.sequence(*state, span.slot, starts);
                let x = self.values.row(node.inputs[0], row);
                ops::convolve(x, &self.weights[weight.0 as usize], *activation, state, out);
            }
            Op::GatedDelta {
                state,
                heads,
                key_heads,
                key_dim,
                value_dim,
            } => {
                let shape = DeltaShape {
                    heads: *heads,
                    key_heads: *key_heads,
                    key_dim: *key_dim,
                    value_dim: *value_dim,
                };
                let inputs = [0, 1, 2, 3, 4].map(|input| self.values.row(node.inputs[input], row));
                let state = self.states.sequence(*state, span.slot, starts);
                ops::gated_delta(&shape, inputs, state, out);
            }
            other => unreachable!("{} keeps no state of sequences", other.name()),
        }
    }
}

/// All rows of a step with their sequences, in order.
fn rows_of<'a>(step: &Step<'a>) -> impl Iterator<Item = (&'a SequenceSpan<'a>, usize)> + use<'a> {
    step.sequences.iter().flat_map(|span| {
        let first = span.first_row as usize;
        (first..first + span.rows as usize).map(move |row| (span, row))
    })
}
