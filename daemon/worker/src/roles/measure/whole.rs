//! Whole choices of types for a table: the budgets, and what is found of them on texts that are held back.

use mains_contract::Bytes;
use mains_measure::{
    Divergence, Evaluate, Evaluator, Formats, GroupOfTensors, MeasureError, Solution, Texts, measure_whole,
    solve,
};
use mains_types::GroupSensitivity;

/// Bits a weight, from the coarsest types to 8 bits.
const BITS: [f64; 6] = [2.8, 3.4, 4.2, 5.2, 6.2, 7.5];

/// The choices of `table` at each budget, from the most bytes to the fewest. A budget below the smallest types has none.
pub(crate) fn solutions(groups: &[GroupOfTensors], table: &[GroupSensitivity]) -> Vec<Solution> {
    let budgets = budgets(groups).into_iter().rev();
    budgets
        .filter_map(|budget| solve(groups, table, budget).ok())
        .collect()
}

/// What each of `choices` costs on `batches`, of the first choices at least, as long as `go_on` says so.
///
/// # Errors
/// [`MeasureError`] when the device fails or a weight can not be quantized.
pub(crate) fn on_batches<'a>(
    evaluator: &mut Evaluator<'a>,
    batches: &'a [Texts],
    choices: &[&Formats],
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<Divergence>, MeasureError> {
    let mut on = None;
    measure_whole(choices, batches.len(), go_on, &mut |batch, formats| {
        if on != Some(batch) {
            evaluator.onto(&batches[batch])?;
            on = Some(batch);
        }
        evaluator.divergence(formats)
    })
}

/// Bytes of all `groups` together, growing.
fn budgets(groups: &[GroupOfTensors]) -> [Bytes; BITS.len()] {
    let shapes = groups.iter().flat_map(|group| &group.shapes);
    let weights: usize = shapes.map(|(rows, cols)| rows * cols).sum();
    BITS.map(|bits| Bytes(bits_to_bytes(bits, weights)))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a budget to within a byte"
)]
fn bits_to_bytes(bits: f64, weights: usize) -> u64 {
    (bits / 8.0 * weights as f64) as u64
}
