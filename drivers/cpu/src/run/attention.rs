//! Attention of a step: its keys and values go to the state first, then every row looks back.

use mains_contract::{Node, Op, SequenceSpan, StateId, Step};

use super::CpuModel;
use super::values::{Out, Rows};
use crate::disjoint::Disjoint;
use crate::isa::Detected;
use crate::kernels::{Attend, AttentionShape, Number, StateNumber, StateRows, StoreRow};
use crate::pool::Pool;
use crate::state::{KeysAndValues, Store, TokenState};

/// What the threads of one attention share.
struct Shared<'a> {
    pool: &'a Pool,
    isa: Detected,
    shape: AttentionShape,
    queries: Rows<'a>,
    step: &'a Step<'a>,
    /// A share of equal length for each thread.
    scores: Disjoint<'a, f32>,
    scores_len: usize,
    out: Disjoint<'a, f32>,
    out_stride: usize,
}

impl CpuModel {
    /// Stores the keys and values of the step in `state`, then computes all rows of `node`.
    pub(super) fn attention(&mut self, node: &Node, state: StateId, step: &Step<'_>, out: Out<'_>) {
        let shape = shape_of(&node.op);
        let [queries, keys, values] = [0, 1, 2].map(|input| self.values.rows(node.inputs[input]));
        let state = &mut self.states[state.0 as usize];
        store_step(self.isa, state, step, keys, values);
        let scores_len = self.scores.len() / self.pool.threads();
        let shared = Shared {
            pool: &self.pool,
            isa: self.isa,
            shape,
            queries,
            step,
            scores: Disjoint::new(&mut self.scores),
            scores_len,
            out_stride: out.stride,
            out: Disjoint::new(out.numbers),
        };
        match &state.store {
            Store::F32(rows) => shared.attend(state, rows),
            Store::F16(rows) => shared.attend(state, rows),
        }
    }
}

impl Shared<'_> {
    fn attend<T: Number + Sync>(&self, state: &TokenState, rows: &KeysAndValues<T>) {
        let shape = self.shape;
        let group = shape.heads / shape.kv_heads;
        let items = self.step.tokens.len() * shape.kv_heads;
        let positions: usize = self
            .step
            .positions
            .iter()
            .map(|position| *position as usize + 1)
            .sum();
        let cost = positions.saturating_mul(shape.heads * (shape.head_dim + shape.value_dim));
        self.pool.interleave(items, cost, |thread, item| {
            let (row, kv_head) = (item / shape.kv_heads, item % shape.kv_heads);
            let span = span_of(self.step.sequences, row);
            let start = row * self.out_stride + kv_head * group * shape.value_dim;
            // SAFETY: each item has outputs of its own, and is given to one thread.
            let out = unsafe { self.out.part(start..start + group * shape.value_dim) };
            // SAFETY: each thread has a share of its own, and drops it before its next item.
            let scores = unsafe {
                self.scores
                    .part(thread * self.scores_len..(thread + 1) * self.scores_len)
            };
            self.isa.run(Attend {
                shape,
                state: StateRows {
                    keys: &rows.keys,
                    values: &rows.values,
                    key_width: state.key_width,
                    value_width: state.value_width,
                    block_tokens: state.block_tokens,
                    blocks: span.blocks,
                },
                kv_head,
                position: self.step.positions[row] as usize,
                queries: &self.queries.row(row)[kv_head * group * shape.head_dim..][..group * shape.head_dim],
                scores,
                out,
            });
        });
    }
}

fn shape_of(op: &Op) -> AttentionShape {
    let Op::Attention {
        heads,
        kv_heads,
        head_dim,
        value_dim,
        scale,
        window,
        ..
    } = op
    else {
        unreachable!("only attention comes here");
    };
    AttentionShape {
        heads: *heads,
        kv_heads: *kv_heads,
        head_dim: *head_dim,
        value_dim: *value_dim,
        scale: *scale,
        window: *window,
    }
}

/// The sequence that `row` belongs to; the step was checked, so there is one.
fn span_of<'a>(sequences: &'a [SequenceSpan<'a>], row: usize) -> &'a SequenceSpan<'a> {
    let after = sequences.partition_point(|span| span.first_row as usize <= row);
    &sequences[after - 1]
}

fn store_step(isa: Detected, state: &mut TokenState, step: &Step<'_>, keys: Rows<'_>, values: Rows<'_>) {
    for span in step.sequences {
        for row in span.first_row as usize..(span.first_row + span.rows) as usize {
            let to = state.row(span.blocks, step.positions[row] as usize);
            let (key_width, value_width) = (state.key_width, state.value_width);
            match &mut state.store {
                Store::F32(rows) => {
                    store_row(isa, to, key_width, keys.row(row), &mut rows.keys);
                    store_row(isa, to, value_width, values.row(row), &mut rows.values);
                }
                Store::F16(rows) => {
                    store_row(isa, to, key_width, keys.row(row), &mut rows.keys);
                    store_row(isa, to, value_width, values.row(row), &mut rows.values);
                }
            }
        }
    }
}

fn store_row<T: StateNumber>(isa: Detected, row: usize, width: usize, x: &[f32], numbers: &mut [T]) {
    isa.run(StoreRow {
        x,
        out: &mut numbers[row * width..][..width],
    });
}
