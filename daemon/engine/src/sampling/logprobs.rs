//! Log-probabilities of the model's own distribution: log-softmax of the logits as the model gave them, before bias,
//! penalties and temperature.

use super::candidates::most_likely;

/// A token's log-probability and the most likely tokens with theirs.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprobs {
    /// Of the token itself.
    pub logprob: f32,
    /// The most likely tokens, falling; ties by growing id.
    pub top: Vec<(u32, f32)>,
}

/// The log-probability of `token` and the `top` most likely tokens.
#[expect(clippy::cast_possible_truncation, reason = "reported in float32")]
pub(super) fn logprobs(logits: &[f32], token: u32, top: usize) -> TokenLogprobs {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|logit| (f64::from(*logit) - f64::from(largest)).exp())
        .sum();
    let shift = f64::from(largest) + sum.ln();
    let logprob = |id: u32| (f64::from(logits[id as usize]) - shift) as f32;
    TokenLogprobs {
        logprob: logprob(token),
        top: most_likely(logits, top)
            .into_iter()
            .map(|id| (id, logprob(id)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::logprobs;

    proptest! {
        #[test]
        fn probabilities_sum_to_one_and_the_most_likely_lead(
            logits in prop::collection::vec(-20i8..20, 1..40),
            top in 0usize..8,
        ) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            let all = logprobs(&logits, 0, logits.len());
            let total: f64 = all.top.iter().map(|(_, logprob)| f64::from(*logprob).exp()).sum();
            prop_assert!((total - 1.0).abs() < 1e-5, "{}", total);
            let mut ids: Vec<u32> = (0..).take(logits.len()).collect();
            ids.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)));
            let ranked: Vec<u32> = logprobs(&logits, 0, top).top.iter().map(|(id, _)| *id).collect();
            prop_assert_eq!(&ranked[..], &ids[..top.min(logits.len())]);
        }
    }

    #[test]
    fn an_impossible_token_has_minus_infinity() {
        let given = logprobs(&[0.0, f32::NEG_INFINITY], 1, 2);
        assert_eq!(given.logprob, f32::NEG_INFINITY);
        assert_eq!(given.top, [(0, 0.0), (1, f32::NEG_INFINITY)]);
    }
}
