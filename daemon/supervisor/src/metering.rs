//! What the supervisor asks of a ledger. The real one is `mains-ledger`; tests inject one that refuses.

use futures_util::future::BoxFuture;
use mains_types::Caller;

/// Records requests durably.
pub trait Metering: Send + Sync + 'static {
    /// Opens the row of a request; durable, with a first lease, when it resolves.
    fn begin(&self, row: OpenRow) -> BoxFuture<'_, Result<Box<dyn Meter>, MeterError>>;
}

/// The open row of one request. Dropping it unsettled leaves it to the ledger to settle it as a defect.
pub trait Meter: Send {
    /// Makes durable that up to `tokens` completion tokens in all may have left the box.
    fn cover(&mut self, tokens: u64) -> BoxFuture<'_, Result<(), MeterError>>;

    /// Closes the row, exactly and durably.
    fn settle(self: Box<Self>, outcome: Outcome) -> BoxFuture<'static, Result<(), MeterError>>;
}

/// A row as it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRow {
    /// The id that the client gets.
    pub id: String,
    /// Who asks.
    pub caller: Caller,
    /// The model's name.
    pub model: String,
    /// Digest of the variant, hexadecimal.
    pub variant: String,
    /// The device that computes.
    pub device: String,
    /// Tokens of all prompts together.
    pub prompt_tokens: u32,
    /// Of those, from a cache.
    pub cached_tokens: u32,
    /// Completion tokens that the request can have at most, where it said so.
    pub most_tokens: Option<u64>,
    /// Milliseconds in the queue, loading included.
    pub queue_ms: u64,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Completion tokens that were passed on.
    pub completion_tokens: u64,
    /// Milliseconds from the request's arrival to its first token; absent when none came.
    pub first_token_ms: Option<u64>,
    /// Milliseconds from the request's arrival to its end.
    pub total_ms: u64,
    /// The finish reasons of its choices, distinct, joined by commas.
    pub finish_reason: Option<String>,
    /// The error's code when it ended early.
    pub error: Option<String>,
}

/// The ledger can not record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MeterError(pub String);
