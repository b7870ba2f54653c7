//! Operations that go along a sequence and leave a sum behind.

use std::ops::Range;

use mains_contract::{Node, Op, SequenceSpan, SlotId, StateId, Step};

use super::CpuModel;
use super::values::{Out, Rows};
use crate::disjoint::Disjoint;
use crate::isa::Detected;
use crate::kernels::{Convolve, DeltaToken};
use crate::state::{SlotState, State};

/// Channels that a thread's share is a multiple of: whole cache lines of float32.
const CHANNEL_GRAIN: usize = 16;

impl CpuModel {
    /// Each channel's convolution along its sequence; threads share the channels.
    pub(super) fn convolution(&mut self, node: &Node, step: &Step<'_>, out: Out<'_>) {
        let Op::ShortConvolution {
            state,
            weight,
            activation,
        } = &node.op
        else {
            unreachable!("only convolutions come here");
        };
        let kernel = self.graph.weight(*weight).cols;
        let channels = node.width;
        let numbers = begin(&mut self.states, *state, step);
        let convolution = Convolution {
            isa: self.isa,
            activation: *activation,
            weights: self.weights.vector(*weight),
            kernel,
            x: self.values.rows(node.inputs[0]),
            state: Disjoint::new(&mut numbers.numbers),
            out_stride: out.stride,
            out: Disjoint::new(out.numbers),
        };
        let size = self.scratch.convolution.numbers().len() / self.pool.threads();
        let sums = Disjoint::new(self.scratch.convolution.numbers_mut());
        let cost = step.tokens.len() * channels * (kernel + super::operations::COST_EXP);
        self.pool.share(channels, CHANNEL_GRAIN, cost, |thread, range| {
            // SAFETY: each thread has a share of its own.
            let sums = unsafe { sums.part(thread * size..thread * size + range.len()) };
            for span in step.sequences {
                convolution.sequence(span, range.clone(), sums);
            }
        });
    }

    /// The gated delta rule; threads share heads of sequences.
    pub(super) fn delta(&mut self, node: &Node, step: &Step<'_>, out: Out<'_>) {
        let Op::GatedDelta {
            state,
            heads,
            key_heads,
            key_dim,
            value_dim,
        } = &node.op
        else {
            unreachable!("only delta rules come here");
        };
        let slots = begin(&mut self.states, *state, step);
        let (width, head_width) = (slots.width, key_dim * value_dim);
        let numbers = Disjoint::new(&mut slots.numbers);
        let [queries, keys, values, decays, betas] =
            [0, 1, 2, 3, 4].map(|input| self.values.rows(node.inputs[input]));
        let (isa, stride) = (self.isa, out.stride);
        let out = Disjoint::new(out.numbers);
        let cost = step.tokens.len() * heads * head_width * 4;
        self.pool
            .interleave(step.sequences.len() * heads, cost, |_, item| {
                let (span, head) = (&step.sequences[item / heads], item % heads);
                let start = span.slot.0 as usize * width + head * head_width;
                // SAFETY: each item has a state of its own, and is given to one thread.
                let state = unsafe { numbers.part(start..start + head_width) };
                let key_at = head / (heads / key_heads) * key_dim;
                for row in rows(span) {
                    let start = row * stride + head * value_dim;
                    // SAFETY: each item has outputs of its own, and is given to one thread.
                    let out = unsafe { out.part(start..start + value_dim) };
                    isa.run(DeltaToken {
                        state,
                        query: &queries.row(row)[key_at..][..*key_dim],
                        key: &keys.row(row)[key_at..][..*key_dim],
                        value: &values.row(row)[head * value_dim..][..*value_dim],
                        decay: decays.row(row)[head],
                        beta: betas.row(row)[head],
                        out,
                    });
                }
            });
    }
}

fn rows(span: &SequenceSpan<'_>) -> Range<usize> {
    span.first_row as usize..(span.first_row + span.rows) as usize
}

/// A state of sequences, with zeros for those that begin in this step.
fn begin<'a>(states: &'a mut [State], id: StateId, step: &Step<'_>) -> &'a mut SlotState {
    let State::Sequences(state) = &mut states[id.0 as usize] else {
        unreachable!("a graph gives it a state of sequences");
    };
    for span in step.sequences {
        if step.positions[span.first_row as usize] == 0 {
            let SlotId(slot) = span.slot;
            state.numbers[slot as usize * state.width..][..state.width].fill(0.0);
        }
    }
    state
}

/// What the threads of a convolution share.
struct Convolution<'a> {
    isa: Detected,
    activation: Option<mains_contract::Activation>,
    weights: &'a [f32],
    kernel: usize,
    x: Rows<'a>,
    state: Disjoint<'a, f32>,
    out: Disjoint<'a, f32>,
    out_stride: usize,
}

impl Convolution<'_> {
    /// Some channels of one sequence, and what it leaves of them.
    fn sequence(&self, span: &SequenceSpan<'_>, channels: Range<usize>, sums: &mut [f32]) {
        let (kept, width) = (self.kernel - 1, self.x.width);
        let slot = span.slot.0 as usize * kept * width;
        let old = |at: usize| {
            let start = slot + at * width;
            // SAFETY: this thread alone has these channels; it writes none of them while it reads this.
            &*unsafe { self.state.part(start + channels.start..start + channels.end) }
        };
        let first = span.first_row as usize;
        // Earlier tokens are in the state, then come the step's.
        let source = |at: usize| {
            if at < kept {
                old(at)
            } else {
                &self.x.row(first + at - kept)[channels.clone()]
            }
        };
        for at in 0..span.rows as usize {
            let start = (first + at) * self.out_stride;
            // SAFETY: this thread alone has these channels, and drops the part before its next row.
            let out = unsafe { self.out.part(start + channels.start..start + channels.end) };
            self.isa.run(Convolve {
                row: |j: usize| source(at + j),
                weights: |j: usize| &self.weights[j * width..][channels.clone()],
                kernel: self.kernel,
                activation: self.activation,
                sums: &mut *sums,
                out,
            });
        }
        for at in 0..kept {
            // The source is a later row: of the state, which was not written yet, or of the step.
            sums.copy_from_slice(source(at + span.rows as usize));
            let start = slot + at * width;
            // SAFETY: this thread alone has these channels, and has dropped what it read of them.
            let new = unsafe { self.state.part(start + channels.start..start + channels.end) };
            new.copy_from_slice(sums);
        }
    }
}
