//! Answers of `POST /v1/chat/completions`, whole and in chunks.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ChatLogprobs, UsageBody};

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatCompletion {
    /// `chatcmpl-…`, the id of the ledger's row.
    pub id: String,
    /// `chat.completion`.
    pub object: Cow<'static, str>,
    /// Seconds since 1970.
    pub created: u64,
    /// The model's name.
    pub model: String,
    /// Short digest of the variant that answered: equal digests give equal answers for equal seeds.
    pub system_fingerprint: String,
    /// The answers.
    pub choices: Vec<ChatChoice>,
    /// Tokens.
    pub usage: UsageBody,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatChoice {
    /// Its number.
    pub index: u32,
    /// The message.
    pub message: ChatMessage,
    /// Log-probabilities, null unless asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// `stop` or `length`.
    pub finish_reason: Cow<'static, str>,
}

/// The message of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `assistant`.
    pub role: Cow<'static, str>,
    /// The text.
    pub content: String,
    /// Always null.
    pub refusal: Option<Value>,
}

/// One event of a streamed answer. `id`, `created`, `model` and the fingerprint are the same in all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk<'a> {
    /// `chatcmpl-…`.
    pub id: Cow<'a, str>,
    /// `chat.completion.chunk`.
    pub object: Cow<'a, str>,
    /// Seconds since 1970.
    pub created: u64,
    /// The model's name.
    pub model: Cow<'a, str>,
    /// Short digest of the variant.
    pub system_fingerprint: Cow<'a, str>,
    /// One choice, or none in the chunk with the usage.
    pub choices: Vec<ChatChunkChoice<'a>>,
    /// Absent unless `include_usage`; then null in all but the last chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<UsageBody>>,
}

/// What a chunk adds to one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatChunkChoice<'a> {
    /// The answer's number.
    pub index: u32,
    /// What is new.
    pub delta: ChatDelta<'a>,
    /// Log-probabilities of the new tokens, null unless asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// Null until the answer's last chunk, whose delta is empty.
    pub finish_reason: Option<Cow<'a, str>>,
}

/// The new part of a message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChatDelta<'a> {
    /// `assistant` in the first chunk of an answer, absent in the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Cow<'a, str>>,
    /// Text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Cow<'a, str>>,
}
