//! Attention of one row and the query heads of one key head over the cached state.
//!
//! Two passes: all scores of up to four query heads go to scratch memory, where the softmax is taken; then values are
//! summed. A chunk of 16 positions begins at a multiple of 16 of the absolute position, and every sum over positions is
//! in their order, so that neither blocks nor chunks nor what else is in the step change a bit.

use std::ops::Range;

use mains_contract::BlockId;

use super::elementwise::soft_cap;
use super::math::exp;
use super::number::{Number, load_rest, store_rest};
use super::plain::products;
use crate::isa::Kernel;
use crate::simd::{LANES, Simd};

/// Query heads whose scores are in scratch memory together.
pub(crate) const SCORE_HEADS: usize = 4;

/// Sizes of an attention, as the operation gives them.
#[derive(Clone, Copy)]
pub(crate) struct AttentionShape {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) value_dim: usize,
    pub(crate) scale: f32,
    pub(crate) window: Option<usize>,
    pub(crate) soft_cap: Option<f32>,
    pub(crate) causal: bool,
}

impl AttentionShape {
    /// The positions that the row at `position` of a sequence sees, whose last position so far is `last`.
    pub(crate) fn seen(&self, position: usize, last: usize) -> Range<usize> {
        let reach = self.window.unwrap_or(usize::MAX);
        let first = (position + 1).saturating_sub(reach);
        let end = if self.causal {
            position + 1
        } else {
            (last + 1).min(position.saturating_add(reach))
        };
        first..end
    }
}

/// The rows of a state as one sequence sees them.
#[derive(Clone, Copy)]
pub(crate) struct StateRows<'a, T> {
    pub(crate) keys: &'a [T],
    pub(crate) values: &'a [T],
    pub(crate) key_width: usize,
    pub(crate) value_width: usize,
    /// Distance between the values of two heads.
    pub(crate) value_step: usize,
    pub(crate) block_tokens: usize,
    pub(crate) blocks: &'a [BlockId],
}

/// One row's query heads of one key head.
pub(crate) struct Attend<'a, T> {
    pub(crate) shape: AttentionShape,
    pub(crate) state: StateRows<'a, T>,
    pub(crate) kv_head: usize,
    /// The positions that the row sees.
    pub(crate) seen: Range<usize>,
    /// A score for each query that has no value.
    pub(crate) sinks: Option<&'a [f32]>,
    /// `heads / kv_heads` queries.
    pub(crate) queries: &'a [f32],
    /// [`SCORE_HEADS`] rows of as many numbers as positions are seen, rounded up to 16, and 16 more.
    pub(crate) scores: &'a mut [f32],
    /// `heads / kv_heads` outputs.
    pub(crate) out: &'a mut [f32],
}

/// The positions that a row sees.
#[derive(Clone, Copy)]
struct Seen {
    first: usize,
    end: usize,
    /// `first` rounded down to 16: the position of the first score.
    base: usize,
}

impl<T: Number> Kernel for Attend<'_, T> {
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        let queries = self.shape.heads / self.shape.kv_heads;
        let Range { start: first, end } = self.seen;
        let seen = Seen {
            first,
            end,
            base: first / LANES * LANES,
        };
        let mut head = 0;
        // As many vectors of sums as the registers have room for.
        while head + 4 <= queries {
            if S::WIDE {
                self.heads::<S, 4, 4>(head, seen);
            } else {
                self.heads::<S, 4, 1>(head, seen);
            }
            head += 4;
        }
        while head + 2 <= queries {
            if S::WIDE {
                self.heads::<S, 2, 4>(head, seen);
            } else {
                self.heads::<S, 2, 2>(head, seen);
            }
            head += 2;
        }
        while head < queries {
            self.heads::<S, 1, 4>(head, seen);
            head += 1;
        }
    }
}

impl<T: Number> Attend<'_, T> {
    /// `H` heads; their outputs are computed `C` vectors at a time.
    #[inline(always)]
    fn heads<S: Simd, const H: usize, const C: usize>(&mut self, head: usize, seen: Seen) {
        let stride = self.scores.len() / SCORE_HEADS;
        self.score::<S, H>(head, seen, stride);
        let mut shares = [0.0; H];
        for at in 0..H {
            let scores = &mut self.scores[at * stride..][..stride];
            let sink = self.sinks.map(|sinks| sinks[head + at]);
            shares[at] = 1.0 / softmax::<S>(scores, seen, self.shape.soft_cap, sink);
        }
        let chunks = self.shape.value_dim.div_ceil(LANES);
        let mut chunk = 0;
        while chunk + C <= chunks {
            self.sum_values::<S, H, C>(head, chunk, seen, stride, &shares);
            chunk += C;
        }
        while chunk < chunks {
            self.sum_values::<S, H, 1>(head, chunk, seen, stride, &shares);
            chunk += 1;
        }
    }

    #[inline(always)]
    fn score<S: Simd, const H: usize>(&mut self, head: usize, seen: Seen, stride: usize) {
        let dim = self.shape.head_dim;
        let mut position = seen.first;
        while position < seen.end {
            let (row, run) = self.state.run(position, seen.end);
            let width = self.state.key_width;
            let keys = &self.state.keys[row * width + self.kv_head * dim..];
            let mut queries: [&[f32]; H] = [&[]; H];
            for at in 0..H {
                queries[at] = &self.queries[(head + at) * dim..][..dim];
            }
            let mut at = 0;
            while S::WIDE && at + 4 <= run {
                let scores = products::<S, T, H, 4>(queries, &keys[at * width..], width);
                self.put_scores(scores, position + at - seen.base, stride);
                at += 4;
            }
            while at < run {
                let scores = products::<S, T, H, 1>(queries, &keys[at * width..], width);
                self.put_scores(scores, position + at - seen.base, stride);
                at += 1;
            }
            position += run;
        }
    }

    #[inline(always)]
    fn put_scores<const H: usize, const O: usize>(
        &mut self,
        products: [[f32; O]; H],
        at: usize,
        stride: usize,
    ) {
        for (head, products) in products.into_iter().enumerate() {
            let scores = &mut self.scores[head * stride + at..][..O];
            for (score, product) in scores.iter_mut().zip(products) {
                *score = product * self.shape.scale;
            }
        }
    }

    /// `C` vectors of the outputs of `H` heads.
    #[inline(always)]
    fn sum_values<S: Simd, const H: usize, const C: usize>(
        &mut self,
        head: usize,
        chunk: usize,
        seen: Seen,
        stride: usize,
        shares: &[f32; H],
    ) {
        let dim = self.shape.value_dim;
        let (start, end) = (chunk * LANES, ((chunk + C) * LANES).min(dim));
        let mut sums = [[S::zero(); C]; H];
        let mut position = seen.first;
        while position < seen.end {
            let (row, run) = self.state.run(position, seen.end);
            for at in 0..run {
                let value = (row + at) * self.state.value_width + self.kv_head * self.state.value_step;
                let loaded = load_chunks::<S, T, C>(&self.state.values[value + start..value + end]);
                for head in 0..H {
                    let score = S::splat(self.scores[head * stride + position + at - seen.base]);
                    for chunk in 0..C {
                        sums[head][chunk] = loaded[chunk].fma(score, sums[head][chunk]);
                    }
                }
            }
            position += run;
        }
        for at in 0..H {
            let out = &mut self.out[(head + at) * dim + start..(head + at) * dim + end];
            for (out, sum) in out.chunks_mut(LANES).zip(sums[at]) {
                store_rest(sum.mul(S::splat(shares[at])), out);
            }
        }
    }
}

impl<T> StateRows<'_, T> {
    /// The row of `position`, and how many rows from there on are consecutive and before `end`.
    #[inline(always)]
    fn run(&self, position: usize, end: usize) -> (usize, usize) {
        let slot = position % self.block_tokens;
        let block = self.blocks[position / self.block_tokens].0 as usize;
        (
            block * self.block_tokens + slot,
            (self.block_tokens - slot).min(end - position),
        )
    }
}

#[inline(always)]
fn load_chunks<S: Simd, T: Number, const C: usize>(numbers: &[T]) -> [S; C] {
    let mut loaded = [S::zero(); C];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for at in 0..C {
        loaded[at] = match chunks.get(at) {
            Some(chunk) => T::load(chunk),
            None => load_rest(rest),
        };
    }
    loaded
}

/// Scores, capped, to `e^(score - highest)`; gives their sum and that of the sink. What is outside of `seen` in its chunks
/// becomes 0.
#[inline(always)]
fn softmax<S: Simd>(scores: &mut [f32], seen: Seen, cap: Option<f32>, sink: Option<f32>) -> f32 {
    let count = (seen.end - seen.base).next_multiple_of(LANES);
    let (before, after) = (seen.first - seen.base, seen.end - seen.base);
    scores[..before].fill(f32::NEG_INFINITY);
    scores[after..count].fill(f32::NEG_INFINITY);
    let chunks = scores[..count].as_chunks_mut::<LANES>().0;
    if let Some(cap) = cap {
        for chunk in chunks.iter_mut() {
            soft_cap(cap, S::load(chunk)).store(chunk);
        }
        scores[..before].fill(f32::NEG_INFINITY);
        scores[after..count].fill(f32::NEG_INFINITY);
    }
    let chunks = scores[..count].as_chunks_mut::<LANES>().0;
    let mut highest = S::splat(f32::NEG_INFINITY);
    for chunk in chunks.iter() {
        highest = highest.max(S::load(chunk));
    }
    if let Some(sink) = sink {
        highest = highest.max(S::splat(sink));
    }
    let highest = S::splat(highest.largest());
    for chunk in chunks.iter_mut() {
        exp(S::load(chunk).sub(highest)).store(chunk);
    }
    scores[..before].fill(0.0);
    scores[after..count].fill(0.0);
    let mut sum = S::zero();
    for chunk in scores[..count].as_chunks::<LANES>().0 {
        sum = sum.add(S::load(chunk));
    }
    let sum = sum.sum();
    match sink {
        Some(sink) => {
            let mut lanes = [0.0; LANES];
            exp(S::splat(sink).sub(highest)).store(&mut lanes);
            sum + lanes[0]
        }
        None => sum,
    }
}
