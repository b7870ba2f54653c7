//! Rows of the ledger, as they go in and as they come out.

use jiff::Timestamp;
use mains_types::{Caller, FinishReason, GenerationErrorKind, Settlement, UsageTotals};

/// What is known of a request when its first token is about to be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRow {
    /// The id that the client gets, unique for all time.
    pub id: String,
    /// When the request came, UTC; kept in milliseconds.
    pub time: Timestamp,
    /// Who asked and which team pays.
    pub caller: Caller,
    /// The model's name.
    pub model: String,
    /// Digest of the variant that answers, hexadecimal.
    pub variant: Option<String>,
    /// Id of the device that computes.
    pub device: Option<String>,
    /// Tokens of all prompts together; known once the worker has read them.
    pub prompt_tokens: Option<u32>,
    /// Of those, from a cache.
    pub cached_tokens: Option<u32>,
    /// The most completion tokens that all choices together can make; no lease goes beyond it.
    pub most_tokens: u32,
}

/// How a request ended. An absent field leaves what the opening row said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Tokens that left the box, over all choices.
    pub completion_tokens: u32,
    /// See [`OpenRow::prompt_tokens`].
    pub prompt_tokens: Option<u32>,
    /// See [`OpenRow::cached_tokens`].
    pub cached_tokens: Option<u32>,
    /// See [`OpenRow::variant`].
    pub variant: Option<String>,
    /// See [`OpenRow::device`].
    pub device: Option<String>,
    /// Milliseconds from arrival until a worker took it.
    pub queue_ms: Option<u64>,
    /// Milliseconds from arrival until the first token left.
    pub first_token_ms: Option<u64>,
    /// Milliseconds from arrival until the end.
    pub total_ms: Option<u64>,
    /// Why it ended well.
    pub finish_reason: Option<FinishReason>,
    /// Why it ended early.
    pub error: Option<GenerationErrorKind>,
}

/// A request's row as it is read back. Absent is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// The id that the client got.
    pub id: String,
    /// When the request came, UTC, to the millisecond.
    pub time: Timestamp,
    /// The team that pays.
    pub team: String,
    /// User id of the client.
    pub uid: u32,
    /// Process id of the client.
    pub pid: Option<u32>,
    /// The client's systemd unit.
    pub unit: Option<String>,
    /// The model's name.
    pub model: String,
    /// Digest of the variant, hexadecimal.
    pub variant: Option<String>,
    /// Id of the device.
    pub device: Option<String>,
    /// Tokens of all prompts together.
    pub prompt_tokens: Option<u32>,
    /// Of those, from a cache.
    pub cached_tokens: Option<u32>,
    /// Tokens that left the box; the lease so far while the request runs.
    pub completion_tokens: u32,
    /// Milliseconds until a worker took it.
    pub queue_ms: Option<u64>,
    /// Milliseconds until the first token left.
    pub first_token_ms: Option<u64>,
    /// Milliseconds until the end.
    pub total_ms: Option<u64>,
    /// [`FinishReason::name`].
    pub finish_reason: Option<String>,
    /// [`GenerationErrorKind::code`], or `daemon_crash`.
    pub error: Option<String>,
    /// How the completion tokens are known; absent while the request runs.
    pub settled: Option<Settlement>,
}

/// Sums over the rows of one team, model or day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The team, the model, or the UTC day as `YYYY-MM-DD`.
    pub key: String,
    /// Its sums.
    pub totals: UsageTotals,
}
