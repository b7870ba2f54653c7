//! The body of `POST /v1/completions` (OpenAI API reference, "Create completion", legacy).
//!
//! Every parameter is honoured or refused, as for chat completions.

use mains_types::{Generate, Prompt};
use serde_json::Value;

use super::common::{Streaming, keep_alive, model, sampling, stop, streaming};
use super::fields::{Fields, Refused, empty, never, wrong_type};
use super::{DEFAULT_COMPLETION_TOKENS, MAX_CHOICES, MAX_LEGACY_LOGPROBS, MAX_N, RequestError, json};

/// A checked request for a plain completion.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionRequest {
    /// What to generate.
    pub generate: Generate,
    /// How to stream it; absent for one whole answer.
    pub streaming: Option<Streaming>,
}

const REFUSED: [Refused; 2] = [
    Refused {
        name: "suffix",
        asks_nothing: empty,
        why: "models served here continue a text, they do not fill a gap",
    },
    Refused {
        name: "user",
        asks_nothing: empty,
        why: "it would change nothing here: the team and the uid of the connection are on record",
    },
];

/// Parameters of chat completions alone; named, since "unknown" would send the reader the wrong way.
const CHAT_ONLY: [Refused; 7] = [
    chat_only("messages"),
    chat_only("max_completion_tokens"),
    chat_only("top_logprobs"),
    chat_only("chat_template_kwargs"),
    chat_only("enable_thinking"),
    chat_only("continue_final_message"),
    chat_only("add_generation_prompt"),
];

const fn chat_only(name: &'static str) -> Refused {
    Refused {
        name,
        asks_nothing: never,
        why: "it belongs to /v1/chat/completions",
    }
}

impl CompletionRequest {
    /// Checks a body. `id` is what the client and the ledger will know the request by.
    ///
    /// # Errors
    /// [`RequestError`] that names the first parameter that cannot be honoured.
    pub fn parse(body: &[u8], id: String) -> Result<Self, RequestError> {
        let mut fields = Fields::new(json::parse_object(body)?, String::new());
        fields.refuse(&CHAT_ONLY)?;
        fields.refuse(&REFUSED)?;
        let model = model(&mut fields)?;
        let prompts = prompts(&mut fields)?;
        let n = choices(&mut fields, prompts.len())?;
        let echo = fields.boolean("echo")?.unwrap_or(false);
        let top_logprobs = fields.count("logprobs", 0, MAX_LEGACY_LOGPROBS)?;
        if echo && top_logprobs.is_some() {
            return Err(RequestError::invalid(
                "logprobs",
                "log-probabilities of a prompt are not computed, so \"logprobs\" excludes \"echo\": true",
            ));
        }
        let request = Self {
            generate: Generate {
                id,
                model,
                prompts,
                n,
                max_tokens: Some(
                    fields
                        .count("max_tokens", 1, u32::MAX)?
                        .unwrap_or(DEFAULT_COMPLETION_TOKENS),
                ),
                stop: stop(&mut fields)?,
                top_logprobs,
                echo,
                sampling: sampling(&mut fields)?,
                keep_alive_s: keep_alive(&mut fields)?,
            },
            streaming: streaming(&mut fields)?,
        };
        fields.finish()?;
        Ok(request)
    }
}

/// `n`, with `best_of` and the number of prompts.
fn choices(fields: &mut Fields, prompts: usize) -> Result<u32, RequestError> {
    let n = fields.count("n", 1, MAX_N)?.unwrap_or(1);
    if let Some(best_of) = fields.take("best_of")
        && best_of != n
    {
        return Err(RequestError::unsupported(
            "best_of",
            "answers are not ranked: the only value is that of \"n\"",
        ));
    }
    let total = u32::try_from(prompts).unwrap_or(u32::MAX).saturating_mul(n);
    if total > MAX_CHOICES {
        return Err(RequestError::invalid(
            "prompt",
            format_args!("{prompts} prompts times n = {n} make {total} answers, the most are {MAX_CHOICES}"),
        ));
    }
    Ok(n)
}

/// `prompt` is a string, an array of strings, an array of token ids or an array of such arrays.
fn prompts(fields: &mut Fields) -> Result<Vec<Prompt>, RequestError> {
    let items = match fields.take("prompt") {
        None => return Err(RequestError::missing("prompt")),
        Some(Value::String(text)) => return Ok(vec![Prompt::Text(text)]),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong_type("prompt", "a string or an array", &other)),
    };
    match items.first() {
        None => Err(RequestError::invalid("prompt", "the array is empty")),
        Some(Value::Number(_)) => Ok(vec![Prompt::Ids(token_ids("prompt", items)?)]),
        Some(_) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| prompt(&format!("prompt[{index}]"), item))
            .collect(),
    }
}

fn prompt(path: &str, item: Value) -> Result<Prompt, RequestError> {
    match item {
        Value::String(text) => Ok(Prompt::Text(text)),
        Value::Array(ids) if ids.is_empty() => Err(RequestError::invalid(path, "the array is empty")),
        Value::Array(ids) => Ok(Prompt::Ids(token_ids(path, ids)?)),
        other => Err(wrong_type(path, "a string or an array of token ids", &other)),
    }
}

fn token_ids(path: &str, items: Vec<Value>) -> Result<Vec<u32>, RequestError> {
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| {
            item.as_u64()
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| {
                    RequestError::invalid(
                        format!("{path}[{index}]"),
                        format_args!("{item} is not a token id"),
                    )
                })
        })
        .collect()
}
