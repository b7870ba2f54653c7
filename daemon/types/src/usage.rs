//! What was used.

/// How a row's completion tokens are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// Counted to the end.
    Exact,
    /// Settled at the durable lease after a crash: at most one lease more than was received.
    Lease,
}

impl Settlement {
    /// The word that rows carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Lease => "lease",
        }
    }
}

/// Sums over rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageTotals {
    /// Rows.
    pub requests: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Of those, from a cache.
    pub cached_tokens: u64,
    /// Tokens that left the box.
    pub completion_tokens: u64,
}
