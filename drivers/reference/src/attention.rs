//! Causal attention of one row over the cached state, by the textbook: scores, softmax, weighted sum.

use mains_contract::BlockId;

use crate::ops::narrow;
use crate::state::TokenState;

/// Sizes of an attention, as the operation gives them.
pub(crate) struct AttentionShape {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) value_dim: usize,
    pub(crate) scale: f32,
    pub(crate) window: Option<usize>,
}

/// The outputs of all heads of the row at `position`, whose own key and value are in the state already. `scores` is
/// working memory of at least `position + 1` numbers.
pub(crate) fn attend(
    shape: &AttentionShape,
    state: &TokenState,
    blocks: &[BlockId],
    position: usize,
    queries: &[f32],
    scores: &mut [f64],
    out: &mut [f32],
) {
    let first = shape
        .window
        .map_or(0, |window| (position + 1).saturating_sub(window));
    let queries_per_key = shape.heads / shape.kv_heads;
    for head in 0..shape.heads {
        let query = &queries[head * shape.head_dim..][..shape.head_dim];
        let key_at = head / queries_per_key * shape.head_dim;
        let value_at = head / queries_per_key * shape.value_dim;
        let scores = &mut scores[first..=position];
        for (seen, score) in (first..).zip(scores.iter_mut()) {
            let products = query.iter().enumerate();
            let sum: f64 = products
                .map(|(at, query)| f64::from(*query) * state.key(blocks, seen, key_at + at))
                .sum();
            *score = sum * f64::from(shape.scale);
        }
        softmax(scores);
        for (at, out) in out[head * shape.value_dim..][..shape.value_dim]
            .iter_mut()
            .enumerate()
        {
            let terms = (first..).zip(scores.iter());
            *out = narrow(
                terms
                    .map(|(seen, share)| share * state.value(blocks, seen, value_at + at))
                    .sum(),
            );
        }
    }
}

/// Scores to shares that sum to 1.
fn softmax(scores: &mut [f64]) {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for score in scores.iter_mut() {
        *score = (*score - highest).exp();
    }
    let total: f64 = scores.iter().sum();
    for score in scores.iter_mut() {
        *score /= total;
    }
}

#[cfg(test)]
mod tests {
    use super::softmax;

    #[test]
    fn shares_sum_to_one_whatever_the_size_of_scores() {
        let mut scores = [1e6, 1e6 + f64::ln(3.0), -1e6];
        softmax(&mut scores);
        assert!((scores[0] - 0.25).abs() < 1e-9 && (scores[1] - 0.75).abs() < 1e-9);
        assert_eq!(scores[2], 0.0);
    }
}
