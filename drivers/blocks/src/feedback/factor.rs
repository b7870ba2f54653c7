//! Second moments of inputs, factored: what an error in one column asks of the columns after it.

/// Added to the diagonal, as a share of its mean: what the texts did not show may still come.
const DAMPING: f64 = 0.01;

/// The moments `H` of a run of columns and its factor `V`, upper triangular with `V V' = H`.
///
/// `e' H e` is the sum over columns `j` of the squares of `V_jj (e_j + sum of e_i V_ij / V_jj, i < j)`. Going from the first
/// column to the last, each term is least where `e_j` undoes that sum, so the quotients are all that rounding needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    columns: usize,
    /// The diagonal of `H` as it was given.
    importance: Vec<f32>,
    /// `H`, damped; (columns, columns).
    moments: Vec<f32>,
    /// `V_ij / V_jj` above the diagonal, zeros elsewhere; (columns, columns).
    quotients: Vec<f32>,
    /// `V_jj^2`: what an error in each column costs when the later ones make up for it.
    weights: Vec<f32>,
}

impl Factor {
    /// The factor of symmetric `moments`, (columns, columns): means of products of inputs. `None` when they are not square, not
    /// finite or all zero: then there is nothing to go by.
    #[must_use]
    pub fn new(columns: usize, moments: &[f32]) -> Option<Self> {
        if columns == 0 || columns.checked_mul(columns) != Some(moments.len()) {
            return None;
        }
        let mut upper: Vec<f64> = moments.iter().map(|moment| f64::from(*moment)).collect();
        let trace: f64 = upper.iter().step_by(columns + 1).sum();
        if !(trace > 0.0 && upper.iter().all(|moment| moment.is_finite())) {
            return None;
        }
        let count = f64::from(u32::try_from(columns).ok()?);
        for index in 0..columns {
            upper[index * (columns + 1)] += DAMPING * trace / count;
        }
        let damped = upper.iter().map(|moment| narrow(*moment)).collect();
        decompose(columns, &mut upper)?;
        let diagonal: Vec<f64> = upper.iter().step_by(columns + 1).copied().collect();
        let quotient = |(at, value): (usize, &f64)| {
            let (row, column) = (at / columns, at % columns);
            if column > row {
                narrow(value / diagonal[column])
            } else {
                0.0
            }
        };
        Some(Self {
            columns,
            importance: moments.iter().step_by(columns + 1).copied().collect(),
            moments: damped,
            quotients: upper.iter().enumerate().map(quotient).collect(),
            weights: diagonal.iter().map(|value| narrow(value * value)).collect(),
        })
    }

    /// Columns in the run.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// `e' H e` of the errors of one row in this run.
    #[must_use]
    pub fn cost(&self, errors: &[f32]) -> f64 {
        let rows = self.moments.chunks_exact(self.columns).zip(errors);
        let term = |(moments, error): (&[f32], &f32)| {
            let products = moments.iter().zip(errors).map(|(moment, error)| moment * error);
            f64::from(*error) * f64::from(products.sum::<f32>())
        };
        rows.map(term).sum()
    }

    /// The importance of columns: all that the weighted search alone knows of the moments.
    pub(super) fn importance(&self) -> &[f32] {
        &self.importance
    }

    /// What an error in each column costs when the later ones make up for it.
    pub(super) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The damped moments of `column` with every other.
    pub(super) fn moments(&self, column: usize) -> &[f32] {
        &self.moments[column * self.columns..(column + 1) * self.columns]
    }

    /// What an error in `column` adds to the number that each column should be rounded to; zeros up to itself.
    pub(super) fn quotients(&self, column: usize) -> &[f32] {
        &self.quotients[column * self.columns..(column + 1) * self.columns]
    }
}

/// Turns the upper triangle of a positive definite matrix into its factor, from the last column to the first; `None` when it is
/// not positive definite.
fn decompose(columns: usize, upper: &mut [f64]) -> Option<()> {
    for last in (0..columns).rev() {
        let (above, own) = upper.split_at_mut(last * columns);
        let own = &mut own[..columns];
        let square = own[last] - dot(&own[last + 1..], &own[last + 1..]);
        if square <= 0.0 {
            return None;
        }
        own[last] = square.sqrt();
        for row in above.chunks_exact_mut(columns) {
            row[last] = (row[last] - dot(&row[last + 1..], &own[last + 1..])) / own[last];
        }
    }
    Some(())
}

/// The sum of products, in 8 partial sums so that it does not wait for each addition.
fn dot(left: &[f64], right: &[f64]) -> f64 {
    let (mut sums, mut rest) = ([0.0; 8], 0.0);
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    for (left, right) in left.iter().zip(right) {
        for lane in 0..8 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    for (left, right) in left_rest.iter().zip(right_rest) {
        rest += left * right;
    }
    sums.iter().sum::<f64>() + rest
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "float32 holds seven digits, errors far fewer"
)]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::Factor;

    #[test]
    fn terms_of_columns_add_up_to_the_cost() {
        let moments = [4.0, 1.0, 0.5, 1.0, 3.0, -1.0, 0.5, -1.0, 2.0];
        let factor = Factor::new(3, &moments).unwrap();
        let errors = [0.5_f32, -1.0, 2.0];
        let mut sum = 0.0;
        for column in 0..3 {
            let before: f32 = (0..column)
                .map(|row| errors[row] * factor.quotients(row)[column])
                .sum();
            sum += f64::from(factor.weights()[column] * (errors[column] + before).powi(2));
        }
        assert!(
            (sum - factor.cost(&errors)).abs() < 1e-5 * sum,
            "{sum} and {}",
            factor.cost(&errors)
        );
    }
}
