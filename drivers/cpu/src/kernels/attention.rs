//! Attention of some rows of a sequence, and the query heads of one key head, over the cached state.
//!
//! Two passes: all scores of up to four queries, of several heads and rows, go to scratch memory, where the softmax is
//! taken; then values are summed. What they all see is loaded once for all; the rest, for each alone. A chunk of 16 positions begins at a multiple of 16 of the absolute position, and every sum over positions is
//! in their order, so that neither blocks nor chunks nor what else is in the step change a bit.

use std::ops::Range;

use mains_blocks::rotate;
use mains_contract::BlockId;

use super::cached::Cached;
use super::elementwise::soft_cap;
use super::math::exp;
use super::number::store_rest;
use crate::isa::Kernel;
use crate::simd::{LANES, Simd};

/// Queries whose scores are in scratch memory together.
pub(crate) const SCORE_QUERIES: usize = 4;

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
    /// Numbers of a head that are rotated together in keys and values.
    pub(crate) rotation: Option<usize>,
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

/// The rows of a state as one sequence sees them; widths and distances in elements.
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

/// Rows of a sequence that are computed together, so that a key is loaded once for their queries.
pub(crate) const TILE_ROWS: usize = 4;

/// The query heads of one key head, of some consecutive rows of a sequence.
pub(crate) struct Attend<'a, T> {
    pub(crate) shape: AttentionShape,
    pub(crate) state: StateRows<'a, T>,
    pub(crate) kv_head: usize,
    /// How many rows there are, at most [`TILE_ROWS`].
    pub(crate) rows: usize,
    /// The positions that each row sees.
    pub(crate) seen: [Range<usize>; TILE_ROWS],
    /// A score for each query that has no value.
    pub(crate) sinks: Option<&'a [f32]>,
    /// Of each row `heads / kv_heads` queries.
    pub(crate) queries: [&'a [f32]; TILE_ROWS],
    /// [`SCORE_QUERIES`] rows of as many numbers as positions are seen, rounded up to 16, and 16 more.
    pub(crate) scores: &'a mut [f32],
    /// Room for [`SCORE_QUERIES`] queries, when they are rotated.
    pub(crate) rotated: &'a mut [f32],
    /// Of each row `heads / kv_heads` outputs.
    pub(crate) out: [&'a mut [f32]; TILE_ROWS],
}

/// The positions that a query sees.
#[derive(Clone, Copy, Default)]
struct Seen {
    first: usize,
    end: usize,
    /// `first` rounded down to 16: the position of the first score.
    base: usize,
}

/// Some queries of a tile.
#[derive(Clone, Copy)]
struct Queries<const Q: usize> {
    row: [usize; Q],
    head: [usize; Q],
    seen: [Seen; Q],
    /// The positions that all of them see; none when that is no whole range of each.
    first: usize,
    end: usize,
}

impl<T: Cached> Kernel for Attend<'_, T> {
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        let queries = self.rows * self.group();
        let mut query = 0;
        // As many vectors of sums as the registers have room for.
        while query + 4 <= queries {
            if S::WIDE {
                self.attend::<S, 4, 4>(query);
            } else {
                self.attend::<S, 4, 1>(query);
            }
            query += 4;
        }
        while query + 2 <= queries {
            if S::WIDE {
                self.attend::<S, 2, 4>(query);
            } else {
                self.attend::<S, 2, 2>(query);
            }
            query += 2;
        }
        while query < queries {
            self.attend::<S, 1, 4>(query);
            query += 1;
        }
    }
}

impl<T: Cached> Attend<'_, T> {
    /// Query heads of the key head.
    #[inline(always)]
    fn group(&self) -> usize {
        self.shape.heads / self.shape.kv_heads
    }

    /// `Q` queries; their outputs are computed `C` vectors at a time.
    #[inline(always)]
    fn attend<S: Simd, const Q: usize, const C: usize>(&mut self, query: usize) {
        let stride = self.scores.len() / SCORE_QUERIES;
        let queries = self.choose::<Q>(query);
        let rotated = std::mem::take(&mut self.rotated);
        self.score::<S, Q>(&queries, stride, rotated);
        self.rotated = rotated;
        let mut shares = [0.0; Q];
        for at in 0..Q {
            let scores = &mut self.scores[at * stride..][..stride];
            let sink = self.sinks.map(|sinks| sinks[queries.head[at]]);
            shares[at] = 1.0 / softmax::<S>(scores, queries.seen[at], self.shape.soft_cap, sink);
        }
        let chunks = self.shape.value_dim.div_ceil(LANES);
        let mut chunk = 0;
        while chunk + C <= chunks {
            self.sum_values::<S, Q, C>(&queries, chunk, stride, &shares);
            chunk += C;
        }
        while chunk < chunks {
            self.sum_values::<S, Q, 1>(&queries, chunk, stride, &shares);
            chunk += 1;
        }
        if let Some(size) = self.shape.rotation {
            let dim = self.shape.value_dim;
            for at in 0..Q {
                rotate(
                    &mut self.out[queries.row[at]][queries.head[at] * dim..][..dim],
                    size,
                );
            }
        }
    }

    /// Queries from the one at `query` on, row by row.
    #[inline(always)]
    fn choose<const Q: usize>(&self, query: usize) -> Queries<Q> {
        let group = self.group();
        let mut chosen = Queries {
            row: [0; Q],
            head: [0; Q],
            seen: [Seen::default(); Q],
            first: 0,
            end: usize::MAX,
        };
        for at in 0..Q {
            let row = (query + at) / group;
            (chosen.row[at], chosen.head[at]) = (row, (query + at) % group);
            let Range { start: first, end } = self.seen[row];
            chosen.seen[at] = Seen {
                first,
                end,
                base: first / LANES * LANES,
            };
            chosen.first = chosen.first.max(first);
            chosen.end = chosen.end.min(end);
        }
        if chosen.first >= chosen.end {
            // All positions are before what is seen together, and none after it.
            chosen.first = usize::MAX;
            chosen.end = usize::MAX;
        }
        chosen
    }

    #[inline(always)]
    fn score<S: Simd, const Q: usize>(&mut self, queries: &Queries<Q>, stride: usize, rotated: &mut [f32]) {
        let dim = self.shape.head_dim;
        let mut x: [&[f32]; Q] = [&[]; Q];
        let mut bases = [0; Q];
        for at in 0..Q {
            x[at] = &self.queries[queries.row[at]][queries.head[at] * dim..][..dim];
            bases[at] = at * stride;
        }
        if let Some(size) = self.shape.rotation {
            let mut rooms = rotated.chunks_exact_mut(dim);
            for at in 0..Q {
                let room = rooms
                    .next()
                    .expect("there is room for as many queries as have scores");
                room.copy_from_slice(x[at]);
                rotate(room, size);
                x[at] = room;
            }
        }
        for at in 0..Q {
            let Seen { first, end, base } = queries.seen[at];
            let scores = [at * stride];
            self.score_run::<S, 1>([x[at]], first..end.min(queries.first), scores, [base]);
            self.score_run::<S, 1>([x[at]], queries.end.max(first)..end, scores, [base]);
        }
        let mut seen_bases = [0; Q];
        for at in 0..Q {
            seen_bases[at] = queries.seen[at].base;
        }
        self.score_run::<S, Q>(x, queries.first..queries.end, bases, seen_bases);
    }

    /// The scores of `positions`; that of position `base[at]` goes to `scores[at]`.
    #[inline(always)]
    fn score_run<S: Simd, const Q: usize>(
        &mut self,
        x: [&[f32]; Q],
        positions: Range<usize>,
        scores: [usize; Q],
        base: [usize; Q],
    ) {
        let (dim, width) = (self.shape.head_dim, self.state.key_width);
        let mut position = positions.start;
        while position < positions.end {
            let (row, run) = self.state.run(position, positions.end);
            let keys = &self.state.keys[row * width + self.kv_head * (dim / T::NUMBERS)..];
            let mut at = 0;
            while S::WIDE && at + 4 <= run {
                let products = T::products::<S, Q, 4>(x, &keys[at * width..], width);
                self.put_scores(products, position + at, &scores, &base);
                at += 4;
            }
            while at < run {
                let products = T::products::<S, Q, 1>(x, &keys[at * width..], width);
                self.put_scores(products, position + at, &scores, &base);
                at += 1;
            }
            position += run;
        }
    }

    #[inline(always)]
    fn put_scores<const Q: usize, const O: usize>(
        &mut self,
        products: [[f32; O]; Q],
        position: usize,
        scores: &[usize; Q],
        base: &[usize; Q],
    ) {
        for query in 0..Q {
            let start = scores[query] + position - base[query];
            let scores = &mut self.scores[start..start + O];
            for (score, product) in scores.iter_mut().zip(products[query]) {
                *score = product * self.shape.scale;
            }
        }
    }

    /// `C` vectors of the outputs of `Q` queries: positions before those that all see, those, and those after them.
    #[inline(always)]
    fn sum_values<S: Simd, const Q: usize, const C: usize>(
        &mut self,
        queries: &Queries<Q>,
        chunk: usize,
        stride: usize,
        shares: &[f32; Q],
    ) {
        let dim = self.shape.value_dim;
        let columns = chunk * LANES..((chunk + C) * LANES).min(dim);
        let mut sums = [[S::zero(); C]; Q];
        let mut bases = [0; Q];
        for at in 0..Q {
            let Seen { first, end, base } = queries.seen[at];
            bases[at] = (at * stride).wrapping_sub(base);
            let own = [&mut sums[at]];
            self.add_values::<S, 1, C>(own, &columns, first..end.min(queries.first), [bases[at]]);
        }
        let common = queries.first..queries.end;
        self.add_values::<S, Q, C>(sums.each_mut(), &columns, common, bases);
        for at in 0..Q {
            let Seen { first, end, .. } = queries.seen[at];
            let own = [&mut sums[at]];
            self.add_values::<S, 1, C>(own, &columns, queries.end.max(first)..end, [bases[at]]);
            let start = queries.head[at] * dim;
            let out = &mut self.out[queries.row[at]][start + columns.start..start + columns.end];
            for (out, sum) in out.chunks_mut(LANES).zip(sums[at]) {
                store_rest(sum.mul(S::splat(shares[at])), out);
            }
        }
    }

    /// Adds the values of `positions` times their scores; that of position `p` is at `base + p` of the scores.
    #[inline(always)]
    fn add_values<S: Simd, const Q: usize, const C: usize>(
        &self,
        to: [&mut [S; C]; Q],
        columns: &Range<usize>,
        positions: Range<usize>,
        bases: [usize; Q],
    ) {
        let mut sums = [[S::zero(); C]; Q];
        for query in 0..Q {
            sums[query] = *to[query];
        }
        let mut position = positions.start;
        while position < positions.end {
            let (row, run) = self.state.run(position, positions.end);
            for at in 0..run {
                let value = (row + at) * self.state.value_width + self.kv_head * self.state.value_step;
                let values = &self.state.values[value..][..self.shape.value_dim / T::NUMBERS];
                let loaded = T::load::<S, C>(values, columns);
                for query in 0..Q {
                    let score = S::splat(self.scores[bases[query].wrapping_add(position + at)]);
                    for chunk in 0..C {
                        sums[query][chunk] = loaded[chunk].fma(score, sums[query][chunk]);
                    }
                }
            }
            position += run;
        }
        for (to, sums) in to.into_iter().zip(sums) {
            *to = sums;
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
