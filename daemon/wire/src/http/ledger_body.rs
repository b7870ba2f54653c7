//! `GET /v1/usage?by=team|model|day&since=` and `GET /v1/requests?since=&limit=`.
//!
//! `since` is a date (`2026-11-01`), an RFC 3339 time or a span back from now (`24h`, `7d`). On the request socket both tell
//! of the caller's team alone, on the administration socket of everybody.

use serde::{Deserialize, Serialize};

/// Sums of usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageReport {
    /// What a row's `key` is: `team`, `model` or `day`.
    pub by: String,
    /// Rows count from this time, RFC 3339; from the beginning when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The one team that this tells of; everybody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// One row a key, in order of the keys.
    pub rows: Vec<UsageRow>,
}

/// Sums of one team, model or day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The team, the model, or the day (UTC, `2026-11-24`).
    pub key: String,
    /// Requests.
    pub requests: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Of those, from a cache.
    pub cached_tokens: u64,
    /// Tokens that left the box.
    pub completion_tokens: u64,
}

/// One request; `GET /v1/requests` is an array of these, the newest last. Fields are absent when unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRow {
    /// The id that the client got.
    pub id: String,
    /// When it arrived, RFC 3339.
    pub time: String,
    /// The team that pays.
    pub team: String,
    /// The client's user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The client's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The client's systemd unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The model's name.
    pub model: String,
    /// Digest of the variant, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The device that computed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Tokens of all prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Of those, from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Tokens that left the box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// Milliseconds before a worker took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_ms: Option<u64>,
    /// Milliseconds from arrival to the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// Milliseconds from arrival to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u64>,
    /// `stop` or `length`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// The code of what ended it early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `exact` or `lease`; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<String>,
}
