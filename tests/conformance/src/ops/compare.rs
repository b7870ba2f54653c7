//! What it means to agree.

/// The root-mean-square difference over the root-mean-square of `expected`: what a whole row of outputs is off by,
/// whatever the size of single numbers. Infinite when a number is not finite.
///
/// # Panics
/// When the lengths differ.
#[must_use]
pub fn worst_error(expected: &[f32], found: &[f32], width: usize) -> f64 {
    assert_eq!(expected.len(), found.len(), "outputs of two lengths");
    let rows = expected.chunks_exact(width).zip(found.chunks_exact(width));
    rows.map(|(expected, found)| row_error(expected, found))
        .fold(0.0, f64::max)
}

fn row_error(expected: &[f32], found: &[f32]) -> f64 {
    let numbers = || {
        expected
            .iter()
            .zip(found)
            .map(|(a, b)| (f64::from(*a), f64::from(*b)))
    };
    let difference: f64 = numbers().map(|(a, b)| (a - b) * (a - b)).sum();
    let size: f64 = numbers().map(|(a, _)| a * a).sum();
    if !difference.is_finite() {
        f64::INFINITY
    } else if difference == 0.0 {
        0.0
    } else {
        (difference / size).sqrt()
    }
}

/// The first number that differs in a bit, if any.
#[must_use]
pub fn same_bits(a: &[f32], b: &[f32]) -> Option<usize> {
    if a.len() != b.len() {
        return Some(a.len().min(b.len()));
    }
    a.iter().zip(b).position(|(a, b)| a.to_bits() != b.to_bits())
}
