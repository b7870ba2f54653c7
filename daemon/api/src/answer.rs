//! What both endpoints know of an answer: its head, and the whole of it when it is not streamed.

use jiff::Timestamp;
use mains_supervisor::Generation;
use mains_types::{Event, FinishReason, Generate, GenerationError, Started, TokenLogprob};
use mains_wire::http::UsageBody;

use crate::sse::broke_off;

/// Hexadecimal digits of a variant's digest that make a fingerprint: 48 bits tell the variants of a site apart.
const FINGERPRINT_DIGITS: usize = 12;

/// What is the same in every chunk, and what is counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Head {
    pub(crate) id: String,
    pub(crate) model: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) fingerprint: String,
    pub(crate) choices: u32,
    /// Whether log-probabilities were asked for, and how many alternatives.
    pub(crate) top_logprobs: Option<u32>,
    prompt_tokens: u32,
    cached_tokens: u32,
    /// Ids that were passed on, counted here.
    pub(crate) completion_tokens: u32,
}

impl Head {
    /// The head of the answers to `request`.
    pub(crate) fn new(request: &Generate, now: Timestamp) -> Self {
        Self {
            id: request.id.clone(),
            model: request.model.clone(),
            created: now.as_second().unsigned_abs(),
            fingerprint: String::new(),
            choices: request.choices(),
            top_logprobs: request.top_logprobs,
            prompt_tokens: 0,
            cached_tokens: 0,
            completion_tokens: 0,
        }
    }

    /// With what is known since the prompt was read.
    pub(crate) fn started(mut self, started: &Started) -> Self {
        let digits = started
            .variant
            .get(..FINGERPRINT_DIGITS)
            .unwrap_or(&started.variant);
        self.fingerprint = format!("fp_{digits}");
        self.prompt_tokens = started.prompt_tokens;
        self.cached_tokens = started.cached_tokens;
        self
    }

    pub(crate) fn count(&mut self, ids: &[u32]) {
        let ids = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        self.completion_tokens = self.completion_tokens.saturating_add(ids);
    }

    pub(crate) const fn usage(&self) -> UsageBody {
        UsageBody::new(self.prompt_tokens, self.cached_tokens, self.completion_tokens)
    }
}

/// One whole answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) logprobs: Vec<TokenLogprob>,
    pub(crate) reason: Option<FinishReason>,
}

/// All answers of a request, in order of their numbers.
pub(crate) async fn collect(
    mut generation: Generation,
    head: &mut Head,
) -> Result<Vec<Answer>, GenerationError> {
    let mut answers = vec![Answer::default(); head.choices as usize];
    while let Some(event) = generation.events.recv().await {
        match event {
            Event::Started(_) => {}
            Event::Tokens(chunk) => {
                head.count(&chunk.ids);
                let answer = answers.get_mut(chunk.choice.0 as usize).ok_or_else(broke_off)?;
                answer.text.push_str(&chunk.text);
                answer.logprobs.extend(chunk.logprobs);
            }
            Event::Finished { choice, reason } => {
                answers.get_mut(choice.0 as usize).ok_or_else(broke_off)?.reason = Some(reason);
            }
            Event::Done if answers.iter().all(|answer| answer.reason.is_some()) => return Ok(answers),
            Event::Done => break,
            Event::Failed(error) => return Err(error),
        }
    }
    Err(broke_off())
}
