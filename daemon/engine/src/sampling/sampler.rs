//! From logits to a token: bias, penalties, temperature, filters, one random number.

use std::collections::{HashMap, HashSet};

use super::candidates::{filtered, weight};
use super::logprobs::logprobs;
use super::philox::uniform;
use super::{SamplingParameters, TokenLogprobs};

/// Logits that no token can be chosen from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// The model computed something that is no number.
    #[error("the model's output is not a number; its weights or the device are broken")]
    NotANumber,
    /// The bias excludes every token.
    #[error("logit_bias excludes every token")]
    NothingLeft,
}

/// What a choice has said so far, as far as penalties look at it.
#[derive(Debug, Clone, Default)]
pub struct History {
    seen: HashSet<u32>,
    generated: HashMap<u32, u32>,
}

impl History {
    /// A choice that begins after `prompt`.
    #[must_use]
    pub fn new(prompt: &[u32]) -> Self {
        Self {
            seen: prompt.iter().copied().collect(),
            generated: HashMap::new(),
        }
    }

    /// Takes note of a generated token.
    pub fn push(&mut self, token: u32) {
        self.seen.insert(token);
        *self.generated.entry(token).or_insert(0) += 1;
    }
}

/// A chosen token.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Its id.
    pub token: u32,
    /// Its log-probability, when it was asked for.
    pub logprobs: Option<TokenLogprobs>,
}

/// Chooses tokens. Holds working memory only: the same arguments give the same token from any sampler.
#[derive(Debug, Default)]
pub struct Sampler {
    adjusted: Vec<f32>,
    ids: Vec<u32>,
}

impl Sampler {
    /// Chooses the token at `position` from `logits`, one a token of the vocabulary. `top_logprobs` asks for the
    /// token's log-probability and that many alternatives.
    ///
    /// # Errors
    /// [`SampleError`] when no token can be chosen.
    pub fn choose(
        &mut self,
        logits: &[f32],
        history: &History,
        parameters: &SamplingParameters,
        position: u32,
        top_logprobs: Option<u32>,
    ) -> Result<Chosen, SampleError> {
        if logits
            .iter()
            .any(|logit| logit.is_nan() || *logit == f32::INFINITY)
        {
            return Err(SampleError::NotANumber);
        }
        self.adjusted.clear();
        let adjusted = if parameters.leaves_logits() {
            logits
        } else {
            self.adjusted.extend_from_slice(logits);
            adjust(&mut self.adjusted, history, parameters);
            &self.adjusted
        };
        let best = most_likely(adjusted).ok_or(SampleError::NothingLeft)?;
        let token = if parameters.temperature == 0.0 {
            best
        } else {
            let number = uniform(parameters.seed, parameters.choice, position);
            draw(
                adjusted,
                adjusted[best as usize],
                parameters,
                number,
                &mut self.ids,
            )
        };
        let logprobs = top_logprobs.map(|top| logprobs(logits, token, top as usize));
        Ok(Chosen { token, logprobs })
    }
}

fn draw(
    logits: &[f32],
    largest: f32,
    parameters: &SamplingParameters,
    number: f64,
    ids: &mut Vec<u32>,
) -> u32 {
    let unfiltered = parameters.top_k == 0 && parameters.top_p >= 1.0 && parameters.min_p == 0.0;
    if unfiltered {
        let weigh = |logit: &f32| weight(*logit, largest, parameters.temperature);
        let weights = || (0..).zip(logits.iter().map(weigh));
        let total = weights().map(|(_, weight)| weight).sum();
        return take(weights(), total, number);
    }
    let kept = filtered(logits, largest, parameters, ids);
    let total = kept.iter().map(|(_, weight)| weight).sum();
    take(kept.iter().copied(), total, number)
}

/// The token in whose share of `total` the fraction `number` falls.
fn take(weights: impl Iterator<Item = (u32, f64)>, total: f64, number: f64) -> u32 {
    let mut rest = number * total;
    let mut last = 0;
    for (id, weight) in weights {
        if weight > 0.0 {
            last = id;
            if rest < weight {
                break;
            }
            rest -= weight;
        }
    }
    last
}

/// The token with the largest logit, ties to the lowest id; none when all are excluded.
fn most_likely(logits: &[f32]) -> Option<u32> {
    let mut best = None;
    let mut largest = f32::NEG_INFINITY;
    for (id, logit) in (0..).zip(logits) {
        if *logit > largest {
            largest = *logit;
            best = Some(id);
        }
    }
    best
}

/// Bias, then the repetition penalty (arXiv 1909.05858), then OpenAI's frequency and presence penalties.
fn adjust(logits: &mut [f32], history: &History, parameters: &SamplingParameters) {
    for entry in &parameters.logit_bias {
        if let Some(logit) = logits.get_mut(entry.token as usize) {
            *logit += entry.bias;
        }
    }
    if parameters.repetition_penalty != 1.0 {
        for token in &history.seen {
            if let Some(logit) = logits.get_mut(*token as usize) {
                if *logit > 0.0 {
                    *logit /= parameters.repetition_penalty;
                } else {
                    *logit *= parameters.repetition_penalty;
                }
            }
        }
    }
    if parameters.frequency_penalty == 0.0 && parameters.presence_penalty == 0.0 {
        return;
    }
    for (token, count) in &history.generated {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit -= times(*count) * parameters.frequency_penalty + parameters.presence_penalty;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a context has at most 2^24 positions")]
fn times(count: u32) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use mains_types::LogitBias;
    use proptest::prelude::*;

    use super::{History, SampleError, Sampler, uniform};
    use crate::sampling::SamplingParameters;

    fn choose(logits: &[f32], history: &History, parameters: &SamplingParameters, position: u32) -> u32 {
        let chosen = Sampler::default().choose(logits, history, parameters, position, None);
        chosen.unwrap().token
    }

    /// The definition, without care for speed: rank, weigh, cut three times, draw.
    fn by_definition(logits: &[f32], parameters: &SamplingParameters, position: u32) -> u32 {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weigh =
            |logit: f32| ((f64::from(logit) - f64::from(largest)) / f64::from(parameters.temperature)).exp();
        let mut ranked: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|logit| weigh(*logit))).collect();
        let filters = parameters.top_k > 0 || parameters.top_p < 1.0;
        if filters {
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        }
        if parameters.top_k > 0 {
            ranked.truncate(parameters.top_k as usize);
        }
        let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
        let mut before = 0.0;
        if parameters.top_p < 1.0 {
            ranked.retain(|(_, weight)| {
                let kept = before < f64::from(parameters.top_p) * total;
                before += weight;
                kept
            });
        }
        ranked.retain(|(_, weight)| *weight >= f64::from(parameters.min_p));
        let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
        let number = uniform(parameters.seed, parameters.choice, position) * total;
        let mut end = 0.0;
        let drawn = ranked.iter().find(|(_, weight)| {
            end += weight;
            number < end
        });
        drawn.or(ranked.last()).unwrap().0
    }

    prop_compose! {
        fn parameters()(
            temperature in 0.05f32..2.0,
            top_k in 0u32..40,
            top_p in prop_oneof![Just(1.0f32), 0.01f32..1.0],
            min_p in prop_oneof![Just(0.0f32), 0.0f32..1.0],
            seed: u64,
            choice in 0u32..4,
        ) -> SamplingParameters {
            SamplingParameters {
                temperature, top_k, top_p, min_p, seed, choice, ..SamplingParameters::greedy()
            }
        }
    }

    proptest! {
        #[test]
        fn draws_as_defined(
            logits in prop::collection::vec(-8.0f32..8.0, 1..700),
            parameters in parameters(),
            position in 0u32..1000,
        ) {
            let chosen = choose(&logits, &History::default(), &parameters, position);
            prop_assert_eq!(chosen, by_definition(&logits, &parameters, position));
        }

        #[test]
        fn the_coldest_temperature_takes_the_largest(logits in prop::collection::vec(-3i8..3, 1..50)) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            let chosen = choose(&logits, &History::default(), &SamplingParameters::greedy(), 0) as usize;
            let first = logits.iter().position(|logit| logits.iter().all(|other| other <= logit));
            prop_assert_eq!(Some(chosen), first);
        }
    }

    #[test]
    fn shares_follow_the_probabilities() {
        let logits = [1.0f32.ln(), 2.0f32.ln(), 5.0f32.ln()];
        let mut counts = [0u32; 3];
        let parameters = SamplingParameters {
            temperature: 1.0,
            seed: 3,
            ..SamplingParameters::greedy()
        };
        for position in 0..8000 {
            counts[choose(&logits, &History::default(), &parameters, position) as usize] += 1;
        }
        for (count, expected) in counts.into_iter().zip([1000u32, 2000, 5000]) {
            assert!(count.abs_diff(expected) < 150, "{counts:?}");
        }
    }

    #[test]
    fn penalties_and_bias_follow_their_formulas() {
        let mut history = History::new(&[0]);
        for token in [1, 1, 2] {
            history.push(token);
        }
        let parameters = SamplingParameters {
            frequency_penalty: 0.5,
            presence_penalty: 0.25,
            repetition_penalty: 2.0,
            logit_bias: vec![LogitBias { token: 3, bias: -1.5 }],
            ..SamplingParameters::greedy()
        };
        let mut logits = [4.0, 4.0, -4.0, 4.0, 4.0];
        super::adjust(&mut logits, &history, &parameters);
        // Prompt: halved. Generated: halved or doubled, minus its count times 0.5, minus 0.25. Biased: plus its bias.
        assert_eq!(logits, [2.0, 2.0 - 1.25, -8.0 - 0.75, 2.5, 4.0]);
    }

    #[test]
    fn an_excluded_token_never_comes() {
        let exclude = |token| LogitBias {
            token,
            bias: f32::NEG_INFINITY,
        };
        let mut parameters = SamplingParameters {
            temperature: 2.0,
            ..SamplingParameters::greedy()
        };
        parameters.logit_bias = vec![exclude(1)];
        for position in 0..200 {
            assert_eq!(choose(&[0.0, 9.0], &History::default(), &parameters, position), 0);
        }
        parameters.logit_bias.push(exclude(0));
        let nothing = Sampler::default().choose(&[0.0, 9.0], &History::default(), &parameters, 0, None);
        assert_eq!(nothing, Err(SampleError::NothingLeft));
    }

    #[test]
    fn logits_that_are_no_numbers_are_an_error() {
        for broken in [f32::NAN, f32::INFINITY] {
            let result = Sampler::default().choose(
                &[0.0, broken],
                &History::default(),
                &SamplingParameters::greedy(),
                0,
                None,
            );
            assert_eq!(result, Err(SampleError::NotANumber));
        }
    }

    #[test]
    fn logprobs_are_the_models_own_whatever_the_sampling() {
        let parameters = SamplingParameters {
            logit_bias: vec![LogitBias { token: 0, bias: 50.0 }],
            ..SamplingParameters::greedy()
        };
        let chosen = Sampler::default().choose(&[0.0, 0.0], &History::default(), &parameters, 0, Some(2));
        let chosen = chosen.unwrap();
        let half = 0.5f32.ln();
        assert_eq!(chosen.token, 0);
        assert_eq!(chosen.logprobs.unwrap().top, [(0, half), (1, half)]);
    }
}
