//! The lease of a request: how many tokens may leave before the next commit. Pure.

/// The most that a crash may bill beyond what was received. A smaller one costs an fsync more often, a larger one costs
/// the team more after a crash: 64 tokens are about a second of output, and a tenth of a page.
pub const LEASE_TOKENS: u32 = 64;

/// Tokens that may be on their way between the ledger's acknowledgement and the client's socket when the daemon dies.
/// A lease is extended by this much less, so that [`LEASE_TOKENS`] holds for what the client received.
pub const IN_FLIGHT_TOKENS: u32 = 16;
