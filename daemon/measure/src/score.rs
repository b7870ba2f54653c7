//! The cheap score: the error that a type makes in a tensor's outputs, as far as the moments of its inputs tell it.

use mains_blocks::{BlockError, Factor};
use mains_contract::{BlockFormat, WeightSource};
use mains_engine::importance::{Importance, Weighting};
use mains_engine::models::Model;

use crate::evaluator::{numbers, restore};
use crate::{GroupOfTensors, MeasureError};

/// Rows of a tensor that are quantized to score it, at most: scores are compared within a tensor, where the types err in the same
/// rows, and 128 of them tell that to a few percent.
const SAMPLED_ROWS: usize = 128;

/// The expected squared error that each candidate of `group` makes in its outputs; where only the importance of columns is known,
/// what it would be were inputs independent. 0 for the type that it has.
///
/// # Errors
/// [`MeasureError`] when a tensor can not be read or quantized.
pub fn scores(
    model: &Model,
    importance: &Importance,
    group: &GroupOfTensors,
) -> Result<Vec<f64>, MeasureError> {
    let mut scores = vec![0.0; group.candidates.len()];
    for name in &group.tensors {
        let stored = model.weights.weight(name)?;
        let weighting = importance.weighting(name, stored.cols)?;
        let exact = numbers(name, &stored)?;
        // Of a stack the rows of every matrix, so that each meets its own importance.
        let step = stored.rows.div_ceil(SAMPLED_ROWS).max(1);
        let (rows, scale) = if weighting.matrices() > 1 {
            (exact, 1.0)
        } else {
            sample(&exact, stored.cols, step)
        };
        for (score, (format, _)) in scores.iter_mut().zip(&group.candidates) {
            if *format != stored.format {
                let found = error(*format, &rows, stored.cols, &weighting);
                *score += scale
                    * found.map_err(|source| MeasureError::Tensor {
                        name: name.clone(),
                        source,
                    })?;
            }
        }
    }
    Ok(scores)
}

/// Every `step`-th row, and how many rows each stands for.
fn sample(numbers: &[f32], cols: usize, step: usize) -> (Vec<f32>, f64) {
    let rows: Vec<f32> = numbers
        .chunks_exact(cols.max(1))
        .step_by(step)
        .flatten()
        .copied()
        .collect();
    let scale = ratio(numbers.len(), rows.len());
    (rows, scale)
}

/// The error that a type makes in the products of rows: by their moments where they are known, or else by columns alone.
fn error(
    format: BlockFormat,
    exact: &[f32],
    cols: usize,
    weighting: &Weighting<'_>,
) -> Result<f64, BlockError> {
    let mut off = exact.to_vec();
    restore(format, &mut off, weighting)?;
    off.iter_mut().zip(exact).for_each(|(off, exact)| *off -= exact);
    let rows = off.chunks_exact(cols);
    if !weighting.factors().is_empty() {
        return Ok(rows.map(|row| cost(weighting.factors(), row)).sum());
    }
    let per_matrix = (exact.len() / cols / weighting.matrices()).max(1);
    let columns = weighting.columns();
    let row_error = |(index, row): (usize, &[f32])| {
        let own = columns.and_then(|columns| columns.chunks_exact(cols).nth(index / per_matrix));
        let terms = row.iter().enumerate().map(|(column, off)| {
            let weight = own.map_or(1.0, |own| own[column]);
            f64::from(weight) * f64::from(*off).powi(2)
        });
        terms.sum::<f64>()
    };
    Ok(rows.enumerate().map(row_error).sum())
}

/// The error of one row, run after run.
fn cost(factors: &[Factor], mut row: &[f32]) -> f64 {
    let mut sum = 0.0;
    for factor in factors {
        let (run, rest) = row.split_at(factor.columns());
        sum += factor.cost(run);
        row = rest;
    }
    sum
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of counts")]
fn ratio(whole: usize, part: usize) -> f64 {
    whole as f64 / part.max(1) as f64
}
