//! Counts one request while it runs.

use crate::{LedgerError, Outcome};

/// The open row of a request. Dropping it unsettled settles it with the error `internal_error` at what was covered.
#[derive(Debug)]
pub struct Meter {
    stopped: LedgerError,
}

impl Meter {
    /// Makes `tokens` completion tokens in all, over all choices, durable before they leave. Returns at once when the
    /// lease has room. The tokens covered before must have been sent: call it chunk by chunk, at most
    /// [`crate::LEASE_TOKENS`] a chunk.
    ///
    /// # Errors
    /// [`LedgerError`] when the lease could not be committed: the tokens must not leave, and the request has to end.
    pub async fn cover(&mut self, _tokens: u32) -> Result<(), LedgerError> {
        Err(self.stopped.clone())
    }

    /// Settles the row exactly; durable when it returns.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not durable yet. The settlement is kept and tried again until it succeeds.
    pub async fn settle(self, _outcome: Outcome) -> Result<(), LedgerError> {
        Err(self.stopped)
    }
}
