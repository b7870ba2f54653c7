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
        self.adjusted.extend_from_slice(logits);
        if !parameters.changes_no_logit() {
            adjust(&mut self.adjusted, history, parameters);
        }
        let best = most_likely(&self.adjusted).ok_or(SampleError::NothingLeft)?;
        let token = if parameters.temperature == 0.0 {
            best
        } else {
            let largest = self.adjusted[best as usize];
            let number = uniform(parameters.seed, parameters.choice, position);
            self.draw(largest, parameters, number)
        };
        let logprobs = top_logprobs.map(|top| logprobs(logits, token, top as usize));
        Ok(Chosen { token, logprobs })
    }

    fn draw(&mut self, largest: f32, parameters: &SamplingParameters, number: f64) -> u32 {
        let unfiltered = parameters.top_k == 0 && parameters.top_p >= 1.0 && parameters.min_p == 0.0;
        if unfiltered {
            let weights = || {
                let weigh = |logit: &f32| weight(*logit, largest, parameters.temperature);
                (0..).zip(self.adjusted.iter().map(weigh))
            };
            let total = weights().map(|(_, weight)| weight).sum();
            return take(weights(), total, number);
        }
        let kept = filtered(&self.adjusted, largest, parameters, &mut self.ids);
        let total = kept.iter().map(|(_, weight)| weight).sum();
        take(kept.iter().copied(), total, number)
    }
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
