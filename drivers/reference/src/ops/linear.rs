//! Products with matrices.

use super::narrow;

/// Sums that a dot product is split into. It changes nothing that a test can see - float64 sums of float32 products
/// are far more exact than what is compared with them - and keeps the oracle from being latency bound.
const SUMS: usize = 8;

/// `sum(a[i] * b[i])`.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let (a, a_rest) = a.as_chunks::<SUMS>();
    let (b, b_rest) = b.as_chunks::<SUMS>();
    let mut sums = [0.0_f64; SUMS];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(*a) * f64::from(*b);
        }
    }
    let rest: f64 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum();
    sums.iter().sum::<f64>() + rest
}

/// `out[o] = dot(x, matrix row o) + bias[o]`.
pub(crate) fn linear(x: &[f32], matrix: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    for (output, (number, row)) in out.iter_mut().zip(matrix.chunks_exact(x.len())).enumerate() {
        let offset = bias.map_or(0.0, |bias| f64::from(bias[output]));
        *number = narrow(dot(x, row) + offset);
    }
}

/// [`linear`] of each of `heads` parts of x with its own part of the matrix.
pub(crate) fn head_linear(x: &[f32], matrix: &[f32], heads: usize, out: &mut [f32]) {
    let (inputs, outputs) = (x.len() / heads, out.len() / heads);
    let parts = x.chunks_exact(inputs).zip(matrix.chunks_exact(inputs * outputs));
    for ((x, matrix), out) in parts.zip(out.chunks_exact_mut(outputs)) {
        linear(x, matrix, None, out);
    }
}

#[cfg(test)]
mod tests {
    use super::{dot, head_linear, linear};

    #[test]
    fn linear_multiplies_by_rows_and_adds_the_bias() {
        let mut out = [0.0; 2];
        let matrix = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
        linear(&[1.0, 2.0, 3.0], &matrix, Some(&[0.5, -1.0]), &mut out);
        assert_eq!(out, [1.5, 5.0]);
    }

    #[test]
    fn a_head_meets_its_own_matrix_alone() {
        let mut out = [0.0; 4];
        let matrix = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0];
        head_linear(&[1.0, 1.0, 1.0, -1.0], &matrix, 2, &mut out);
        assert_eq!(out, [3.0, 7.0, -10.0, -10.0]);
    }

    #[test]
    fn a_dot_product_takes_every_number_once() {
        let ones = [1.0; 19];
        let numbers: Vec<f32> = (0..19_u8).map(f32::from).collect();
        assert_eq!(dot(&ones, &numbers), 171.0);
    }
}
