//! The cheap score: the error that a type makes in a tensor's outputs, as far as the importance of columns tells it.

use mains_contract::{BlockFormat, WeightSource};
use mains_engine::importance::Importance;
use mains_engine::models::Model;

use crate::evaluator::{numbers, restore};
use crate::{GroupOfTensors, MeasureError};

/// Rows of a tensor that are quantized to score it: errors of rows vary little, and 512 of them tell the sum to a percent or two.
const SAMPLED_ROWS: usize = 512;

/// The squared error of each candidate of `group` weighted by the importance of columns: the expected squared error of its
/// outputs, were inputs independent. 0 for the type that it has.
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
        let weights = importance
            .of(name)
            .filter(|weights| weights.len().is_multiple_of(stored.cols));
        let exact = numbers(name, &stored)?;
        // Of a stack the rows of every matrix, so that each meets its own importance.
        let step = (stored.rows / SAMPLED_ROWS).max(1);
        let (rows, scale) = match weights {
            Some(weights) if weights.len() > stored.cols => (exact, 1.0),
            _ => sample(&exact, stored.cols, step),
        };
        for (score, (format, _)) in scores.iter_mut().zip(&group.candidates) {
            if *format != stored.format {
                *score += scale * error(*format, &rows, stored.cols, weights, name)?;
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

fn error(
    format: BlockFormat,
    exact: &[f32],
    cols: usize,
    weights: Option<&[f32]>,
    name: &str,
) -> Result<f64, MeasureError> {
    let mut restored = exact.to_vec();
    restore(format, &mut restored, cols, weights).map_err(|source| MeasureError::Tensor {
        name: name.to_owned(),
        source,
    })?;
    let matrices = weights.map_or(1, |weights| (weights.len() / cols.max(1)).max(1));
    let matrix = (exact.len() / matrices).max(1);
    let off =
        restored
            .chunks(matrix)
            .zip(exact.chunks(matrix))
            .enumerate()
            .map(|(index, (restored, exact))| {
                let numbers = restored.iter().zip(exact).enumerate();
                let terms = numbers.map(|(at, (restored, exact))| {
                    let weight = weights.map_or(1.0, |weights| weights[index * cols + at % cols]);
                    f64::from(weight) * (f64::from(*restored) - f64::from(*exact)).powi(2)
                });
                terms.sum::<f64>()
            });
    Ok(off.sum())
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of counts")]
fn ratio(whole: usize, part: usize) -> f64 {
    whole as f64 / part.max(1) as f64
}
