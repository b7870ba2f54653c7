//! Tokens of one answer.

use serde::{Deserialize, Serialize};

/// The `usage` of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsageBody {
    /// Tokens of all prompts.
    pub prompt_tokens: u32,
    /// Tokens of all answers, end-of-text included: each was computed.
    pub completion_tokens: u32,
    /// Both.
    pub total_tokens: u32,
    /// Parts of the prompts' tokens.
    pub prompt_tokens_details: PromptTokensDetails,
}

/// Parts of the prompts' tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PromptTokensDetails {
    /// How many a cache had.
    pub cached_tokens: u32,
}

impl UsageBody {
    /// The sums of one request.
    #[must_use]
    pub const fn new(prompt_tokens: u32, cached_tokens: u32, completion_tokens: u32) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            prompt_tokens_details: PromptTokensDetails { cached_tokens },
        }
    }
}
