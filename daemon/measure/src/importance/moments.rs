//! Products of the inputs of two columns, summed.

use std::sync::Arc;

use mains_contract::WeightId;

use super::{Layout, Sums};

/// Columns of a run, the widest first: wider runs know more and take more memory.
const WIDTHS: [usize; 3] = [1024, 512, 256];
/// Numbers of all moments of a model, at most: 1 GiB of float32. A model of which even the narrowest runs take more keeps to
/// the importance of columns.
const MOST_CELLS: usize = 1 << 28;

/// Positions for each column of a run, at least: from fewer, rounding would follow what the texts happen to have in common.
const POSITIONS_PER_COLUMN: usize = 12;

/// Products of the inputs that some matrices share.
pub(super) struct Products {
    pub(super) weights: Vec<WeightId>,
    tap: usize,
    cols: usize,
    width: usize,
    /// Run after run the sums of products, the upper triangles.
    cells: Vec<f32>,
    count: u64,
}

/// What is summed over `positions`, and the width of its runs. Stacks of experts are left out: each expert would need its own.
pub(super) fn plan(sums: &[Sums], positions: usize) -> (usize, Vec<Products>) {
    let mut shared: Vec<(usize, usize, Vec<WeightId>)> = Vec::new();
    for sums in sums.iter().filter(|sums| matches!(sums.layout, Layout::Groups)) {
        let like = shared
            .iter_mut()
            .find(|(tap, cols, _)| (*tap, *cols) == (sums.tap, sums.cols));
        match like {
            Some((_, _, weights)) => weights.push(sums.weight),
            None => shared.push((sums.tap, sums.cols, vec![sums.weight])),
        }
    }
    let all = |width: usize| {
        shared
            .iter()
            .map(|(_, cols, _)| cells(*cols, width))
            .sum::<usize>()
    };
    let widest = shared.iter().map(|(_, cols, _)| *cols).max().unwrap_or(0);
    let is_possible =
        |width: &usize| all(*width) <= MOST_CELLS && positions >= POSITIONS_PER_COLUMN * widest.min(*width);
    let Some(width) = WIDTHS.into_iter().find(is_possible) else {
        return (WIDTHS[0], Vec::new());
    };
    let products = shared.into_iter().map(|(tap, cols, weights)| Products {
        weights,
        tap,
        cols,
        width,
        cells: vec![0.0; cells(cols, width)],
        count: 0,
    });
    (width, products.collect())
}

/// Numbers of the moments of `cols` columns in runs of `width`.
const fn cells(cols: usize, width: usize) -> usize {
    let rest = cols % width;
    cols / width * width * width + rest * rest
}

impl Products {
    /// Adds the inputs of a few rows.
    pub(super) fn add(&mut self, taps: &[&[f32]]) {
        let inputs = taps[self.tap];
        self.count += (inputs.len() / self.cols) as u64;
        let mut rest = &mut *self.cells;
        let mut line = Vec::new();
        for first in (0..self.cols).step_by(self.width) {
            let columns = self.width.min(self.cols - first);
            let (run, after) = std::mem::take(&mut rest).split_at_mut(columns * columns);
            for (row, cells) in run.chunks_exact_mut(columns).enumerate() {
                // Summed apart first: a few rows are small beside all that came before.
                line.clear();
                line.resize(columns - row, 0.0);
                for input in inputs.chunks_exact(self.cols) {
                    let input = &input[first + row..first + columns];
                    let own = input[0];
                    line.iter_mut()
                        .zip(input)
                        .for_each(|(sum, other)| *sum += own * other);
                }
                cells[row..]
                    .iter_mut()
                    .zip(&line)
                    .for_each(|(cell, sum)| *cell += sum);
            }
            rest = after;
        }
    }

    /// Means, both triangles.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of positions, below 2^24 or close enough"
    )]
    pub(super) fn means(&self) -> Arc<[f32]> {
        let per = 1.0 / self.count.max(1) as f32;
        let mut means: Vec<f32> = self.cells.iter().map(|cell| cell * per).collect();
        let mut rest = &mut *means;
        for first in (0..self.cols).step_by(self.width) {
            let columns = self.width.min(self.cols - first);
            let (run, after) = std::mem::take(&mut rest).split_at_mut(columns * columns);
            for row in 0..columns {
                for column in row + 1..columns {
                    run[column * columns + row] = run[row * columns + column];
                }
            }
            rest = after;
        }
        means.into()
    }
}
