//! Which tokens may come next, by rank: the larger logit first, ties to the lowest id.

use std::cmp::Ordering;

use super::SamplingParameters;

/// Whether `a` comes before `b`.
fn outranks(logits: &[f32], a: u32, b: u32) -> bool {
    rank(logits, a, b) == Ordering::Less
}

fn rank(logits: &[f32], a: u32, b: u32) -> Ordering {
    let (first, second) = (logits[a as usize], logits[b as usize]);
    // No NaN gets here, and the two zeros are the same logit.
    second
        .partial_cmp(&first)
        .unwrap_or(Ordering::Equal)
        .then(a.cmp(&b))
}

/// A token's weight: its probability relative to the most likely token's, at `temperature`.
pub(super) fn weight(logit: f32, largest: f32, temperature: f32) -> f64 {
    ((f64::from(logit) - f64::from(largest)) / f64::from(temperature)).exp()
}

/// The tokens that pass `top_k`, then `top_p`, then `min_p`, with their weights, all at the temperature: the order of
/// the `transformers` library. By rank when `top_k` or `top_p` is given, else by id. `ids` is working memory.
pub(super) fn filtered(
    logits: &[f32],
    largest: f32,
    parameters: &SamplingParameters,
    ids: &mut Vec<u32>,
) -> Vec<(u32, f64)> {
    /// Up to here insertion into the best so far is faster than a selection over all.
    const SMALL_TOP_K: usize = 128;
    let weight = |id: u32| weight(logits[id as usize], largest, parameters.temperature);
    let top_k = parameters.top_k as usize;
    ids.clear();
    if (1..=SMALL_TOP_K).contains(&top_k) {
        ids.extend(most_likely(logits, top_k));
    } else {
        ids.extend((0..).take(logits.len()));
        if top_k > 0 {
            first_by_rank(logits, ids, top_k.min(logits.len()));
            ids.truncate(top_k);
        }
    }
    let mut kept: Vec<(u32, f64)> = if parameters.top_p < 1.0 {
        let total: f64 = ids.iter().map(|id| weight(*id)).sum();
        nucleus(logits, ids, f64::from(parameters.top_p) * total, weight)
    } else {
        ids.iter().map(|id| (*id, weight(*id))).collect()
    };
    kept.retain(|(_, weight)| *weight >= f64::from(parameters.min_p));
    kept
}

/// The fewest first tokens whose weights together reach `wanted`; at least one. Sorts only as many as it needs.
fn nucleus(logits: &[f32], ids: &mut [u32], wanted: f64, weight: impl Fn(u32) -> f64) -> Vec<(u32, f64)> {
    /// Tokens that are sorted at first: most distributions have their weight in fewer.
    const FIRST_SORTED: usize = 256;
    let mut sorted = FIRST_SORTED.min(ids.len());
    loop {
        first_by_rank(logits, ids, sorted);
        let mut reached = 0.0;
        let mut kept = Vec::new();
        for id in &ids[..sorted] {
            let weight = weight(*id);
            kept.push((*id, weight));
            reached += weight;
            if reached >= wanted {
                return kept;
            }
        }
        if sorted == ids.len() {
            return kept;
        }
        sorted = (sorted * 8).min(ids.len());
    }
}

/// Brings the first `count` tokens by rank to the front, sorted.
fn first_by_rank(logits: &[f32], ids: &mut [u32], count: usize) {
    if count == 0 {
        return;
    }
    if count < ids.len() {
        ids.select_nth_unstable_by(count - 1, |a, b| rank(logits, *a, *b));
    }
    ids[..count].sort_unstable_by(|a, b| rank(logits, *a, *b));
}

/// The first `count` tokens by rank, sorted. One pass with insertion, for a small `count`.
pub(super) fn most_likely(logits: &[f32], count: usize) -> Vec<u32> {
    let mut best: Vec<u32> = Vec::with_capacity(count + 1);
    for id in (0..).take(logits.len()) {
        let full = best.len() == count;
        if full && best.last().is_none_or(|last| !outranks(logits, id, *last)) {
            continue;
        }
        let place = best.partition_point(|known| outranks(logits, *known, id));
        best.insert(place, id);
        best.truncate(count);
    }
    best
}
