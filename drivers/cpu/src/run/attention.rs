//! Attention of a step: its keys and values go to the state first, then every row looks back.

use std::ops::Range;

use mains_contract::{Node, Op, SequenceSpan, StateId, StateSpec, Step, WeightId, cache_rotation};

use super::CpuModel;
use super::values::{Out, Rows};
use crate::disjoint::Disjoint;
use crate::isa::Detected;
use crate::kernels::{Attend, AttentionShape, Cached, StateRows, StoreRow, TILE_ROWS};
use crate::pool::Pool;
use crate::state::{KeysAndValues, State, Store, TokenState, with_rows};

/// Pieces of work for each thread from which rows are computed in tiles: enough that the last ones to end hold up little.
const MIN_ITEMS: usize = 4;

/// What the threads of one attention share.
struct Shared<'a> {
    pool: &'a Pool,
    isa: Detected,
    shape: AttentionShape,
    sinks: Option<&'a [f32]>,
    queries: Rows<'a>,
    step: &'a Step<'a>,
    /// A share of equal length for each thread.
    scores: Disjoint<'a, f32>,
    scores_len: usize,
    /// As with scores.
    rotated: Disjoint<'a, f32>,
    rotated_len: usize,
    out: Disjoint<'a, f32>,
    out_stride: usize,
}

impl CpuModel {
    /// Stores the keys and values of the step in `state`, when they are inputs, then computes all rows of `node`.
    pub(super) fn attention(&mut self, node: &Node, state: StateId, step: &Step<'_>, out: Out<'_>) {
        let (mut shape, sinks) = shape_of(&node.op);
        if let StateSpec::PerToken { format, .. } = &self.graph.states()[state.0 as usize] {
            shape.rotation = cache_rotation(&node.op, *format);
        }
        let sinks = sinks.map(|sinks| self.weights.vector(sinks));
        let queries = self.values.rows(node.inputs[0]);
        let State::Tokens(state) = &mut self.states[self.graph.storage(state).0 as usize] else {
            unreachable!("a graph gives attention a state of tokens");
        };
        if let Some(keys) = node.inputs.get(1) {
            let values = node.inputs.get(2).map(|values| self.values.rows(*values));
            let rows = [Some(self.values.rows(*keys)), values];
            store_step(
                self.isa,
                state,
                step,
                rows,
                (shape.rotation, &mut self.scratch.rotated),
            );
        }
        let threads = self.pool.threads();
        let scores_len = self.scratch.scores.len() / threads;
        let shared = Shared {
            pool: &self.pool,
            isa: self.isa,
            shape,
            sinks,
            queries,
            step,
            scores: Disjoint::new(&mut self.scratch.scores),
            scores_len,
            rotated_len: self.scratch.rotated.len() / threads,
            rotated: Disjoint::new(&mut self.scratch.rotated),
            out_stride: out.stride,
            out: Disjoint::new(out.numbers),
        };
        with_rows!(&state.store, rows => shared.attend(state, rows));
    }
}

impl Shared<'_> {
    fn attend<T: Cached + Sync>(&self, state: &TokenState, rows_of: &KeysAndValues<T>) {
        let shape = self.shape;
        let group = shape.heads / shape.kv_heads;
        let rows = self.step.tokens.len();
        let last = |span: &SequenceSpan<'_>| self.step.positions[end_of(span) - 1] as usize;
        let seen =
            |row: usize, span: &SequenceSpan<'_>| shape.seen(self.step.positions[row] as usize, last(span));
        let positions: usize = (0..rows)
            .map(|row| seen(row, span_of(self.step.sequences, row)).len())
            .sum();
        let cost = positions.saturating_mul(shape.heads * (shape.head_dim + shape.value_dim));
        // Values are a state's own, or the first numbers of its keys.
        let (values, value_width, value_step) = match state.value_width {
            0 => (&rows_of.keys, state.key_width, shape.head_dim),
            width => (&rows_of.values, width, shape.value_dim),
        };
        let [key_width, value_width, value_step] =
            [state.key_width, value_width, value_step].map(|numbers| numbers / T::NUMBERS);
        // Rows of a tile share loads, but a step of few rows is better spread over the threads.
        let tile = if rows * shape.kv_heads >= TILE_ROWS * MIN_ITEMS * self.pool.threads() {
            TILE_ROWS
        } else {
            1
        };
        self.pool
            .interleave(rows.div_ceil(tile) * shape.kv_heads, cost, |thread, item| {
                let (first, kv_head) = (item / shape.kv_heads * tile, item % shape.kv_heads);
                let end = rows.min(first + tile);
                let mut row = first;
                while row < end {
                    let span = span_of(self.step.sequences, row);
                    let together = row..end.min(end_of(span));
                    row = together.end;
                    // SAFETY: each thread has a share of its own, and drops it before its next rows.
                    let scores = unsafe {
                        self.scores
                            .part(thread * self.scores_len..(thread + 1) * self.scores_len)
                    };
                    // SAFETY: as above.
                    let rotated = unsafe {
                        self.rotated
                            .part(thread * self.rotated_len..(thread + 1) * self.rotated_len)
                    };
                    self.isa.run(Attend {
                        shape,
                        state: StateRows {
                            keys: &rows_of.keys,
                            values,
                            key_width,
                            value_width,
                            value_step,
                            block_tokens: state.block_tokens,
                            blocks: span.blocks,
                        },
                        kv_head,
                        rows: together.len(),
                        seen: of_rows(&together, |row| seen(row, span)),
                        sinks: self.sinks.map(|sinks| &sinks[kv_head * group..][..group]),
                        queries: of_rows(&together, |row| {
                            &self.queries.row(row)[kv_head * group * shape.head_dim..]
                                [..group * shape.head_dim]
                        }),
                        scores,
                        rotated,
                        out: of_rows(&together, |row| {
                            let start = row * self.out_stride + kv_head * group * shape.value_dim;
                            // SAFETY: each row and key head has outputs of its own, and is given to one thread once.
                            unsafe { self.out.part(start..start + group * shape.value_dim) }
                        }),
                    });
                }
            });
    }
}

/// What `of` gives for each of `rows`; defaults for those that a whole tile would have.
fn of_rows<T: Default>(rows: &Range<usize>, of: impl Fn(usize) -> T) -> [T; TILE_ROWS] {
    std::array::from_fn(|at| {
        let row = rows.start + at;
        if row < rows.end { of(row) } else { T::default() }
    })
}

/// The row after the last of `span`.
fn end_of(span: &SequenceSpan<'_>) -> usize {
    (span.first_row + span.rows) as usize
}

fn shape_of(op: &Op) -> (AttentionShape, Option<WeightId>) {
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
        ..
    } = op
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
        causal: *causal,
        rotation: None,
    };
    (shape, *sinks)
}

/// The sequence that `row` belongs to; the step was checked, so there is one.
fn span_of<'a>(sequences: &'a [SequenceSpan<'a>], row: usize) -> &'a SequenceSpan<'a> {
    let after = sequences.partition_point(|span| span.first_row as usize <= row);
    &sequences[after - 1]
}

/// Stores keys and values of the step, each rotated when there is a size of groups, with room for one.
fn store_step(
    isa: Detected,
    state: &mut TokenState,
    step: &Step<'_>,
    [keys, values]: [Option<Rows<'_>>; 2],
    (rotation, room): (Option<usize>, &mut [f32]),
) {
    for span in step.sequences {
        for row in span.first_row as usize..end_of(span) {
            let to = state.row(span.blocks, step.positions[row] as usize);
            with_rows!(&mut state.store, stored => {
                for (from, stored) in [(keys, &mut stored.keys), (values, &mut stored.values)] {
                    if let Some(from) = from {
                        store_row(isa, to, from.row(row), stored, rotation.map(|size| (size, &mut *room)));
                    }
                }
            });
        }
    }
}

fn store_row<T: Cached>(
    isa: Detected,
    row: usize,
    x: &[f32],
    stored: &mut [T],
    rotation: Option<(usize, &mut [f32])>,
) {
    let width = x.len() / T::NUMBERS;
    isa.run(StoreRow {
        x,
        out: &mut stored[row * width..][..width],
        rotation,
    });
}
