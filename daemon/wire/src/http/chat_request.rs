//! The body of `POST /v1/chat/completions` (OpenAI API reference, "Create chat completion").
//!
//! Every parameter is honoured or refused. A refused one is accepted only with the value that asks for nothing: null or
//! the documented default. Our extensions are `top_k`, `min_p`, `repetition_penalty`, `keep_alive` (seconds or `"5m"`) and
//! `chat_template_kwargs` (variables for the model's template), `enable_thinking` (the one that reasoning models read), and
//! `continue_final_message` with `add_generation_prompt`: go on with the last message instead of answering it.

use mains_types::{ChatEnd, ChatPrompt, Generate, Prompt};
use serde_json::{Map, Value};

use super::common::{Streaming, keep_alive, model, sampling, stop, streaming};
use super::fields::{Fields, Refused, empty, never, wrong_type};
use super::{MAX_N, MAX_TOP_LOGPROBS, RequestError, json, messages::messages};

/// A checked request for a chat completion.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// What to generate.
    pub generate: Generate,
    /// How to stream it; absent for one whole answer.
    pub streaming: Option<Streaming>,
}

const NO_TOOLS: &str = "tool calling is not part of this version";
const NO_LABELS: &str = "it would change nothing here: the team and the uid of the connection are on record";

const REFUSED: [Refused; 21] = [
    refused("tools", empty, NO_TOOLS),
    refused("tool_choice", |v| v == "none" || v == "auto", NO_TOOLS),
    refused("parallel_tool_calls", |v| *v == Value::Bool(true), NO_TOOLS),
    refused("functions", empty, NO_TOOLS),
    refused("function_call", |v| v == "none" || v == "auto", NO_TOOLS),
    refused(
        "response_format",
        plain_text,
        "the only format of this version is {\"type\": \"text\"}",
    ),
    refused("modalities", text_only, "models served here write text alone"),
    refused("audio", never, "models served here write text alone"),
    refused("store", |v| *v == Value::Bool(false), "answers are never stored"),
    refused(
        "metadata",
        empty,
        "requests are not stored, so nothing could carry it",
    ),
    refused(
        "service_tier",
        |v| v == "auto" || v == "default",
        "there is one tier; shares are by team",
    ),
    refused("prediction", never, "there is no predicted output"),
    refused(
        "reasoning_effort",
        never,
        "models with a reasoning switch take it by \"enable_thinking\" or \"chat_template_kwargs\"",
    ),
    refused(
        "verbosity",
        |v| v == "medium",
        "models served here have no such control",
    ),
    refused("web_search_options", never, "the box never searches the web"),
    refused("moderation", never, "there is no moderation model"),
    refused("user", empty, NO_LABELS),
    refused("safety_identifier", empty, NO_LABELS),
    refused(
        "prompt_cache_key",
        empty,
        "prompts are matched by their tokens alone",
    ),
    refused(
        "prompt_cache_retention",
        never,
        "how long prompts stay cached is not for a request to say",
    ),
    refused(
        "prompt_cache_options",
        empty,
        "how prompts are cached is not for a request to say",
    ),
];

/// The variable by which templates of reasoning models ask whether to reason; also a parameter of its own.
const ENABLE_THINKING: &str = "enable_thinking";

/// Variables that belong to the daemon: given by a request, they would contradict the rest of it.
const OWN_VARIABLES: [&str; 5] = [
    "messages",
    "tools",
    "add_generation_prompt",
    "bos_token",
    "eos_token",
];

const fn refused(name: &'static str, asks_nothing: fn(&Value) -> bool, why: &'static str) -> Refused {
    Refused {
        name,
        asks_nothing,
        why,
    }
}

impl ChatRequest {
    /// Checks a body. `id` is what the client and the ledger will know the request by.
    ///
    /// # Errors
    /// [`RequestError`] that names the first parameter that cannot be honoured.
    pub fn parse(body: &[u8], id: String) -> Result<Self, RequestError> {
        let mut fields = Fields::new(json::parse_object(body)?, String::new());
        let model = model(&mut fields)?;
        let messages = messages(&mut fields)?;
        fields.refuse(&REFUSED)?;
        let request = Self {
            generate: Generate {
                id,
                model,
                prompts: vec![Prompt::Chat(ChatPrompt {
                    messages,
                    tools: None,
                    variables: variables(&mut fields)?,
                    end: end(&mut fields)?,
                })],
                n: fields.count("n", 1, MAX_N)?.unwrap_or(1),
                max_tokens: max_tokens(&mut fields)?,
                stop: stop(&mut fields)?,
                top_logprobs: top_logprobs(&mut fields)?,
                echo: false,
                sampling: sampling(&mut fields)?,
                keep_alive_s: keep_alive(&mut fields)?,
            },
            streaming: streaming(&mut fields)?,
        };
        fields.finish()?;
        Ok(request)
    }
}

fn max_tokens(fields: &mut Fields) -> Result<Option<u32>, RequestError> {
    let old = fields.count("max_tokens", 1, u32::MAX)?;
    let new = fields.count("max_completion_tokens", 1, u32::MAX)?;
    match (old, new) {
        (Some(old), Some(new)) if old != new => Err(RequestError::invalid(
            "max_completion_tokens",
            format_args!("{new} contradicts max_tokens, which is {old}; give one of them"),
        )),
        _ => Ok(new.or(old)),
    }
}

fn top_logprobs(fields: &mut Fields) -> Result<Option<u32>, RequestError> {
    let wanted = fields.boolean("logprobs")?.unwrap_or(false);
    let top = fields.count("top_logprobs", 0, MAX_TOP_LOGPROBS)?;
    match (wanted, top) {
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None) => Ok(None),
        (false, Some(_)) => Err(RequestError::invalid(
            "top_logprobs",
            "only allowed together with \"logprobs\": true",
        )),
    }
}

/// Where the conversation ends. An answer is begun unless the request says otherwise, or goes on with its last message.
fn end(fields: &mut Fields) -> Result<ChatEnd, RequestError> {
    let goes_on = fields.boolean("continue_final_message")?.unwrap_or(false);
    match (goes_on, fields.boolean("add_generation_prompt")?) {
        (false, Some(false)) => Ok(ChatEnd::LastMessage),
        (false, _) => Ok(ChatEnd::NewAnswer),
        (true, None | Some(false)) => Ok(ChatEnd::WithinLastMessage),
        (true, Some(true)) => Err(RequestError::invalid(
            "add_generation_prompt",
            "true contradicts \"continue_final_message\": true; give one of them",
        )),
    }
}

fn variables(fields: &mut Fields) -> Result<Option<String>, RequestError> {
    let mut variables = match fields.take("chat_template_kwargs") {
        None => Map::new(),
        Some(Value::Object(variables)) => variables,
        Some(other) => return Err(wrong_type("chat_template_kwargs", "an object", &other)),
    };
    if let Some(name) = OWN_VARIABLES.iter().find(|name| variables.contains_key(**name)) {
        return Err(RequestError::invalid(
            format!("chat_template_kwargs.{name}"),
            "this variable is the daemon's to set",
        ));
    }
    if let Some(thinks) = fields.boolean(ENABLE_THINKING)? {
        let inner = variables.insert(ENABLE_THINKING.to_owned(), Value::Bool(thinks));
        if inner.is_some_and(|inner| inner != thinks) {
            return Err(RequestError::invalid(
                ENABLE_THINKING,
                format_args!("{thinks} contradicts chat_template_kwargs.enable_thinking; give one of them"),
            ));
        }
    }
    Ok((!variables.is_empty()).then(|| Value::Object(variables).to_string()))
}

fn plain_text(value: &Value) -> bool {
    *value == serde_json::json!({"type": "text"})
}

fn text_only(value: &Value) -> bool {
    *value == serde_json::json!(["text"])
}
