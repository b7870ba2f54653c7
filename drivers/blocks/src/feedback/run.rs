//! One run of columns of a few rows: rounding with feedback, and the descent over single codes.

use std::ops::Range;

use super::codes::{Codes, nearest};
use super::factor::Factor;
use crate::{BlockError, quantize_weighted};

/// Passes of coordinate descent, at most; few codes move after the second.
const PASSES: usize = 8;

/// One run of columns of a few rows, with what is found of them.
#[derive(Clone)]
pub(super) struct Run<'a, B> {
    factor: &'a Factor,
    /// The numbers themselves; (rows, columns).
    numbers: &'a [f32],
    /// Found so far: blocks, the scale and minimum of each of their sub-blocks, the index of each level, and the numbers that
    /// those stand for.
    pub(super) blocks: Vec<B>,
    scales: Vec<f32>,
    minima: Vec<f32>,
    indices: Vec<u8>,
    restored: Vec<f32>,
}

impl<'a, B> Run<'a, B> {
    pub(super) fn new<const LEN: usize, const SUBS: usize>(
        factor: &'a Factor,
        numbers: &'a [f32],
        blocks: Vec<B>,
    ) -> Self
    where
        B: Codes<LEN, SUBS>,
    {
        let mut run = Self {
            factor,
            numbers,
            scales: vec![0.0; blocks.len() * SUBS],
            minima: vec![0.0; blocks.len() * SUBS],
            indices: vec![0; numbers.len()],
            restored: vec![0.0; numbers.len()],
            blocks,
        };
        for at in 0..run.blocks.len() {
            run.read::<LEN, SUBS>(at);
        }
        run
    }

    /// Takes over what a block says.
    fn read<const LEN: usize, const SUBS: usize>(&mut self, at: usize)
    where
        B: Codes<LEN, SUBS>,
    {
        let block = &self.blocks[at];
        let (scales, minima) = (block.scales(), block.minima());
        self.scales[at * SUBS..][..SUBS].copy_from_slice(&scales);
        self.minima[at * SUBS..][..SUBS].copy_from_slice(&minima);
        for (within, level) in block.levels().into_iter().enumerate() {
            let sub = within / (LEN / SUBS);
            let index = B::LEVELS.partition_point(|other| *other < level);
            self.indices[at * LEN + within] = u8::try_from(index).unwrap_or(u8::MAX);
            self.restored[at * LEN + within] = scales[sub] * f32::from(level) - minima[sub];
        }
    }

    /// Rounds column after column to what the errors before ask for, with scales that are searched for on that.
    #[inline(always)]
    pub(super) fn feed<const LEN: usize, const SUBS: usize>(&mut self) -> Result<(), BlockError>
    where
        B: Codes<LEN, SUBS>,
    {
        let columns = self.factor.columns();
        let mut wanted = self.numbers.to_vec();
        let mut blocks = vec![B::zeroed(); wanted.len() / columns];
        for first in (0..columns).step_by(LEN) {
            let part = wanted
                .chunks_exact(columns)
                .flat_map(|row| &row[first..first + LEN]);
            let part: Vec<f32> = part.copied().collect();
            let weights = &self.factor.weights()[first..first + LEN];
            let bytes = bytemuck::cast_slice_mut(&mut blocks);
            quantize_weighted(B::FORMAT, &part, Some(weights), bytes)?;
            for (row, block) in blocks.iter().enumerate() {
                let at = (row * columns + first) / LEN;
                self.blocks[at] = *block;
                self.read::<LEN, SUBS>(at);
            }
            round(self, &mut wanted, first..first + LEN, B::LEVELS, LEN / SUBS);
        }
        Ok(())
    }

    /// By row, the error in products.
    #[inline(always)]
    pub(super) fn errors(&self) -> Vec<f64> {
        let gradient = self.gradient();
        let columns = self.factor.columns();
        let terms = self.numbers.iter().zip(&self.restored).zip(&gradient);
        let terms: Vec<f64> = terms
            .map(|((number, restored), gradient)| f64::from(number - restored) * f64::from(*gradient))
            .collect();
        terms.chunks_exact(columns).map(|row| row.iter().sum()).collect()
    }

    /// Moments times errors; (rows, columns).
    #[inline(always)]
    fn gradient(&self) -> Vec<f32> {
        let columns = self.factor.columns();
        let mut gradient = vec![0.0; self.numbers.len()];
        for column in 0..columns {
            let moments = self.factor.moments(column);
            for (row, gradient) in gradient.chunks_exact_mut(columns).enumerate() {
                let at = row * columns + column;
                add(gradient, self.numbers[at] - self.restored[at], moments);
            }
        }
        gradient
    }

    /// Takes over a row.
    pub(super) fn take(&mut self, other: &Self, row: usize, len: usize)
    where
        B: Copy,
    {
        let columns = self.factor.columns();
        let own = row * columns..(row + 1) * columns;
        self.indices[own.clone()].copy_from_slice(&other.indices[own.clone()]);
        self.restored[own.clone()].copy_from_slice(&other.restored[own]);
        let own = row * columns / len..(row + 1) * columns / len;
        self.blocks[own.clone()].copy_from_slice(&other.blocks[own]);
    }

    /// Writes the levels found into the blocks.
    pub(super) fn store<const LEN: usize, const SUBS: usize>(&mut self)
    where
        B: Codes<LEN, SUBS>,
    {
        for (block, indices) in self.blocks.iter_mut().zip(self.indices.as_chunks().0) {
            block.set_levels(indices);
        }
    }
}

/// Rounds the columns of a block in each row to what is wanted, and adds to what is wanted of the columns after them.
#[inline(always)]
fn round<B>(run: &mut Run<'_, B>, wanted: &mut [f32], block: Range<usize>, levels: &[i8], sub_len: usize) {
    let columns = run.factor.columns();
    for column in block {
        let quotients = &run.factor.quotients(column)[column + 1..];
        for (row, wanted) in wanted.chunks_exact_mut(columns).enumerate() {
            let at = row * columns + column;
            let (scale, minimum) = (run.scales[at / sub_len], run.minima[at / sub_len]);
            // Without a scale all levels are one number.
            if scale != 0.0 {
                let (index, level) = nearest(levels, (wanted[column] + minimum) / scale);
                run.indices[at] = index;
                run.restored[at] = scale * level - minimum;
            }
            add(
                &mut wanted[column + 1..],
                run.numbers[at] - run.restored[at],
                quotients,
            );
        }
    }
}

/// Moves single codes while that lessens the error.
#[inline(always)]
pub(super) fn descend<B>(run: &mut Run<'_, B>, levels: &[i8], sub_len: usize) {
    let columns = run.factor.columns();
    let mut gradient = run.gradient();
    for _ in 0..PASSES {
        let mut moved = false;
        for column in 0..columns {
            let moments = run.factor.moments(column);
            let own = moments[column];
            for (row, gradient) in gradient.chunks_exact_mut(columns).enumerate() {
                let at = row * columns + column;
                let (scale, minimum) = (run.scales[at / sub_len], run.minima[at / sub_len]);
                let wanted = run.restored[at] + gradient[column] / own;
                let (index, level) = nearest(levels, (wanted + minimum) / scale);
                if index == run.indices[at] || scale == 0.0 {
                    continue;
                }
                let restored = scale * level - minimum;
                let change = restored - run.restored[at];
                if change * (change * own - 2.0 * gradient[column]) < 0.0 {
                    run.indices[at] = index;
                    run.restored[at] = restored;
                    add(gradient, -change, moments);
                    moved = true;
                }
            }
        }
        if !moved {
            return;
        }
    }
}

/// Adds `factor` times `terms`.
#[inline(always)]
fn add(sums: &mut [f32], factor: f32, terms: &[f32]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum += factor * term;
    }
}
