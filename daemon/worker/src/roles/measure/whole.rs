//! The budgets at which whole choices of types are measured for a table.

use mains_contract::Bytes;
use mains_measure::GroupOfTensors;

/// Bits a weight, from the coarsest types to 8 bits.
const BITS: [f64; 6] = [2.8, 3.4, 4.2, 5.2, 6.2, 7.5];

/// Bytes of all `groups` together, growing.
pub(crate) fn budgets(groups: &[GroupOfTensors]) -> [Bytes; BITS.len()] {
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
