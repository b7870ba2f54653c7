//! Attention of one row over the cached state, by the textbook: scores, softmax, weighted sum.

use std::ops::Range;

use mains_blocks::rotate;
use mains_contract::BlockId;

use super::narrow;
use crate::state::TokenState;

/// What an attention does, as the operation gives it.
pub(crate) struct AttentionShape<'a> {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) value_dim: usize,
    pub(crate) scale: f32,
    pub(crate) window: Option<usize>,
    pub(crate) soft_cap: Option<f32>,
    pub(crate) sinks: Option<&'a [f32]>,
    pub(crate) causal: bool,
    pub(crate) value_from_key: bool,
    /// Numbers that are rotated together in keys and values.
    pub(crate) rotation: Option<usize>,
}

impl AttentionShape<'_> {
    /// The positions that the token at `position` of a sequence of `length` sees.
    fn seen(&self, position: usize, length: usize) -> Range<usize> {
        let reach = self.window.unwrap_or(usize::MAX);
        let end = if self.causal {
            position + 1
        } else {
            position.saturating_add(reach).min(length)
        };
        (position + 1).saturating_sub(reach)..end
    }
}

/// The outputs of all heads of the row at `position`. Keys and values of all `length` positions of the sequence are in
/// the state; `scores` is working memory for as many numbers.
pub(crate) fn attend(
    shape: &AttentionShape<'_>,
    state: &TokenState,
    blocks: &[BlockId],
    [position, length]: [usize; 2],
    queries: &[f32],
    scores: &mut [f64],
    out: &mut [f32],
) {
    let seen = shape.seen(position, length);
    let rotated = |numbers: &[f32]| {
        let mut numbers = numbers.to_vec();
        shape.rotation.iter().for_each(|size| rotate(&mut numbers, *size));
        numbers
    };
    let queries = rotated(queries);
    let queries_per_key = shape.heads / shape.kv_heads;
    for head in 0..shape.heads {
        let query = &queries[head * shape.head_dim..][..shape.head_dim];
        let kv_head = head / queries_per_key;
        let key_at = kv_head * shape.head_dim;
        let scores = &mut scores[..seen.len()];
        for (seen, score) in seen.clone().zip(scores.iter_mut()) {
            let products = query.iter().enumerate();
            let sum: f64 = products
                .map(|(at, query)| f64::from(*query) * state.key(blocks, seen, key_at + at))
                .sum();
            *score = capped(sum * f64::from(shape.scale), shape.soft_cap);
        }
        softmax(scores, shape.sinks.map(|sinks| f64::from(sinks[head])));
        let outputs = out[head * shape.value_dim..][..shape.value_dim].iter_mut();
        for (at, out) in outputs.enumerate() {
            let value = |seen: usize| {
                if shape.value_from_key {
                    state.key(blocks, seen, key_at + at)
                } else {
                    state.value(blocks, seen, kv_head * shape.value_dim + at)
                }
            };
            let terms = seen.clone().zip(scores.iter());
            *out = narrow(terms.map(|(seen, share)| share * value(seen)).sum());
        }
    }
    out.copy_from_slice(&rotated(out));
}

fn capped(score: f64, cap: Option<f32>) -> f64 {
    cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
}

/// Scores to shares that, with the sink's, sum to 1.
fn softmax(scores: &mut [f64], sink: Option<f64>) {
    let highest = scores
        .iter()
        .copied()
        .chain(sink)
        .fold(f64::NEG_INFINITY, f64::max);
    for score in scores.iter_mut() {
        *score = (*score - highest).exp();
    }
    let total: f64 = scores.iter().sum::<f64>() + sink.map_or(0.0, |sink| (sink - highest).exp());
    for score in scores.iter_mut() {
        *score /= total;
    }
}

#[cfg(test)]
mod tests {
    use super::{AttentionShape, attend, softmax};
    use crate::state::TokenState;
    use mains_contract::{BlockFormat, BlockId, StateSpec, StepLimits};

    #[test]
    fn shares_sum_to_one_whatever_the_size_of_scores() {
        let mut scores = [1e6, 1e6 + f64::ln(3.0), -1e6];
        softmax(&mut scores, None);
        assert!((scores[0] - 0.25).abs() < 1e-9 && (scores[1] - 0.75).abs() < 1e-9);
        assert_eq!(scores[2], 0.0);
    }

    #[test]
    fn a_sink_takes_its_share_and_gives_nothing() {
        let mut scores = [0.0, f64::ln(2.0)];
        softmax(&mut scores, Some(f64::ln(5.0)));
        assert!((scores[0] - 0.125).abs() < 1e-12 && (scores[1] - 0.25).abs() < 1e-12);
    }

    const PLAIN: AttentionShape<'_> = AttentionShape {
        heads: 1,
        kv_heads: 1,
        head_dim: 2,
        value_dim: 1,
        scale: 1.0,
        window: None,
        soft_cap: None,
        sinks: None,
        causal: true,
        value_from_key: false,
        rotation: None,
    };

    /// What the token at position 2 sees of five, whose keys are (position, 1) and whose values are powers of ten, when
    /// its query says that all are alike.
    fn at_two(shape: &AttentionShape<'_>, query: [f32; 2]) -> f32 {
        let spec = StateSpec::PerToken {
            key_width: 2,
            value_width: 1,
            format: BlockFormat::F32,
            window: None,
            shared_with: None,
        };
        let limits = StepLimits {
            rows: 5,
            output_rows: 5,
            context: 5,
            blocks: 3,
            block_tokens: 2,
            slots: 0,
        };
        let mut state = TokenState::new(&spec, &limits).unwrap();
        let blocks = [BlockId(2), BlockId(0), BlockId(1)];
        for (position, value) in [1.0, 10.0, 100.0, 1000.0, 10000.0].into_iter().enumerate() {
            let key = [f32::from(u8::try_from(position).unwrap()), 1.0];
            state.write_keys(&blocks, position, &key);
            state.write_values(&blocks, position, &[value]);
        }
        let mut out = [0.0];
        attend(shape, &state, &blocks, [2, 5], &query, &mut [0.0; 5], &mut out);
        out[0]
    }

    #[test]
    fn windows_and_directions_say_what_is_seen() {
        let shape = |causal, window| AttentionShape {
            causal,
            window,
            ..PLAIN
        };
        let alike = [0.0, 0.0];
        assert_eq!(at_two(&shape(true, None), alike), 37.0);
        assert_eq!(at_two(&shape(true, Some(2)), alike), 55.0);
        assert_eq!(at_two(&shape(true, Some(1)), alike), 100.0);
        assert_eq!(at_two(&shape(false, None), alike), 2222.2);
        assert_eq!(at_two(&shape(false, Some(2)), alike), 370.0);
        assert_eq!(at_two(&shape(false, Some(1)), alike), 100.0);
    }

    #[test]
    fn values_may_be_parts_of_keys() {
        let shape = AttentionShape {
            value_from_key: true,
            ..PLAIN
        };
        assert_eq!(at_two(&shape, [0.0, 0.0]), 1.0);
    }

    #[test]
    fn a_soft_cap_bends_scores_before_the_softmax() {
        let shape = AttentionShape {
            soft_cap: Some(1e-3),
            ..PLAIN
        };
        // Scores of 0, 1e9 and 2e9 become 0, 0.001 and 0.001.
        assert!((at_two(&shape, [1e9, 0.0]) - 37.018).abs() < 1e-2);
        assert_eq!(at_two(&PLAIN, [1e9, 0.0]), 100.0);
    }
}
