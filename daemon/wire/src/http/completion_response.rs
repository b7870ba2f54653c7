//! Answers of `POST /v1/completions`, whole and in chunks: both have the same shape.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{CompletionLogprobs, UsageBody};

/// A whole answer, or one event of a streamed one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completion<'a> {
    /// `cmpl-…`, the id of the ledger's row.
    pub id: Cow<'a, str>,
    /// `text_completion`.
    pub object: Cow<'a, str>,
    /// Seconds since 1970.
    pub created: u64,
    /// The model's name.
    pub model: Cow<'a, str>,
    /// Short digest of the variant that answered.
    pub system_fingerprint: Cow<'a, str>,
    /// The answers; none in the chunk with the usage.
    pub choices: Vec<CompletionChoice<'a>>,
    /// Of a whole answer always there. In a stream absent unless `include_usage`; then null in all but the last chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<UsageBody>>,
}

/// One answer, or what a chunk adds to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompletionChoice<'a> {
    /// `prompt * n + copy`.
    pub index: u32,
    /// The text.
    pub text: Cow<'a, str>,
    /// Log-probabilities, null unless asked for.
    pub logprobs: Option<CompletionLogprobs>,
    /// `stop` or `length`; null while the answer goes on.
    pub finish_reason: Option<Cow<'a, str>>,
}
