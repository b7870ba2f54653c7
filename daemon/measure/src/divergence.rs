//! How far one model's predictions are from another's.

/// Log-probabilities of each position's tokens, position after position, and where each row comes from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Divergence {
    /// KL(base || other) of each position in nats.
    pub each: Vec<f64>,
    /// Whether the most likely token is the same, by position.
    pub same_top: Vec<bool>,
}

/// A mean and where it is with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Resamples of a bootstrap: the ends of an interval of 95 % then vary by a few hundredths of its width.
const RESAMPLES: usize = 1000;

/// Positions of a run whose mean is taken: about as many as files are compared on.
const RUN: usize = 4096;

/// KL(base || other) between two rows of logits, and whether their most likely token is the same.
#[must_use]
pub fn compare(base: &[f32], other: &[f32]) -> (f64, bool) {
    let (base_max, other_max) = (highest(base), highest(other));
    let log_sum = |row: &[f32], max: (usize, f32)| {
        let sum: f64 = row.iter().map(|logit| f64::from(logit - max.1).exp()).sum();
        f64::from(max.1) + sum.ln()
    };
    let (base_sum, other_sum) = (log_sum(base, base_max), log_sum(other, other_max));
    let terms = base.iter().zip(other).map(|(base, other)| {
        let (base, other) = (f64::from(*base) - base_sum, f64::from(*other) - other_sum);
        base.exp() * (base - other)
    });
    (terms.sum::<f64>().max(0.0), base_max.0 == other_max.0)
}

/// The first highest logit.
fn highest(row: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, logit) in row.iter().enumerate() {
        if *logit > best.1 {
            best = (index, *logit);
        }
    }
    best
}

impl Divergence {
    /// Adds a position.
    pub fn push(&mut self, (divergence, same_top): (f64, bool)) {
        self.each.push(divergence);
        self.same_top.push(same_top);
    }

    /// Adds all positions of another.
    pub fn append(&mut self, other: Self) {
        self.each.extend(other.each);
        self.same_top.extend(other.same_top);
    }

    /// The mean over positions; 0 of none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        mean(&self.each)
    }

    /// What the mean of a few thousand other positions is most likely near: the median of the means of runs of [`RUN`] positions
    /// (median of means; Nemirovski and Yudin 1983). One position in 70,000 may carry a third of a mean, which a sample without
    /// it does not show. Of fewer than two runs the mean.
    #[must_use]
    pub fn typical(&self) -> f64 {
        let runs = (self.each.len() / RUN).max(1);
        let run = self.each.len().div_ceil(runs).max(1);
        let mut means: Vec<f64> = self.each.chunks(run).map(mean).collect();
        means.sort_by(f64::total_cmp);
        let middle = means.len().saturating_sub(1) / 2..means.len() / 2 + 1;
        means.get(middle).map_or(0.0, mean)
    }

    /// The value that a share of positions is at or below.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank within the positions"
    )]
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.each.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len().saturating_sub(1)) as f64 * share.clamp(0.0, 1.0);
        sorted.get(rank.round() as usize).copied().unwrap_or(0.0)
    }

    /// The largest.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.each.iter().copied().fold(0.0, f64::max)
    }

    /// Share of positions whose most likely token is the same.
    #[must_use]
    pub fn same_top(&self) -> f64 {
        let values: Vec<f64> = self
            .same_top
            .iter()
            .map(|same| f64::from(u8::from(*same)))
            .collect();
        mean(&values)
    }

    /// The mean divergence with a bootstrap interval over positions.
    #[must_use]
    pub fn interval(&self) -> Interval {
        bootstrap(&self.each)
    }
}

/// The mean of `values`, differences of pairs or anything else, with a percentile bootstrap (Efron 1979); the same for the
/// same values, always.
#[must_use]
pub fn bootstrap(values: &[f64]) -> Interval {
    let mean_of_all = mean(values);
    if values.len() < 2 {
        return Interval {
            mean: mean_of_all,
            low: mean_of_all,
            high: mean_of_all,
        };
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        // splitmix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((u128::from(mixed ^ (mixed >> 31)) * below as u128) >> 64).unwrap_or(0)
    };
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sum: f64 = (0..values.len()).map(|_| values[next(values.len())]).sum();
            sum / count(values.len())
        })
        .collect();
    means.sort_by(f64::total_cmp);
    Interval {
        mean: mean_of_all,
        low: means[RESAMPLES / 40],
        high: means[RESAMPLES - 1 - RESAMPLES / 40],
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len().max(1))
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53 positions")]
const fn count(values: usize) -> f64 {
    values as f64
}

#[cfg(test)]
mod tests {
    use super::{Divergence, bootstrap, compare};

    #[test]
    fn divergence_is_that_of_the_probabilities() {
        // Probabilities 3/4 and 1/4 against 1/2 and 1/2, each up to a constant.
        let (divergence, same) = compare(&[3f32.ln() + 5.0, 5.0], &[-2.0, -2.0]);
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((divergence - expected).abs() < 1e-6 && same);
        assert!(!compare(&[0.0, 1.0], &[1.0, 0.0]).1);
        assert_eq!(compare(&[80.0, -80.0], &[80.0, -80.0]).0, 0.0);
    }

    #[test]
    fn one_position_does_not_carry_what_is_typical() {
        let mut all = Divergence::default();
        assert_eq!(all.typical(), 0.0);
        (0..5000).for_each(|_| all.push((1e-6, true)));
        all.push((1.0, false));
        assert_eq!(all.typical(), all.mean(), "of one run it is the mean");
        (0..5 * 4096).for_each(|at| all.push((f64::from(at % 2) * 2e-6, true)));
        assert!(all.mean() > 1e-5);
        assert!((all.typical() - 1e-6).abs() < 1e-8, "{}", all.typical());
    }

    #[test]
    fn summaries_are_of_all_positions() {
        let mut all = Divergence::default();
        (0..=100_u32).for_each(|value| all.push((f64::from(value), value % 2 == 0)));
        assert_eq!((all.mean(), all.quantile(0.99), all.max()), (50.0, 99.0, 100.0));
        assert!((all.same_top() - 51.0 / 101.0).abs() < 1e-12);
        let interval = all.interval();
        // The standard error is 29.2 / sqrt(101) = 2.9; 1.96 of them on either side.
        assert!(
            (44.3 - interval.low).abs() < 0.8 && (55.7 - interval.high).abs() < 0.8,
            "{interval:?}"
        );
        assert_eq!(bootstrap(&[3.0]).low, 3.0);
    }
}
