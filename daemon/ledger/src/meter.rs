//! Counts one request while it runs.

use std::sync::Arc;

use mains_types::{GenerationErrorKind, Settlement};
use tokio::sync::oneshot;

use crate::lease::Lease;
use crate::ledger::Handle;
use crate::statements::Settled;
use crate::writer::Call;
use crate::{LedgerError, OpenRow, Outcome};

/// The open row of a request. Dropping it unsettled settles it at what was covered, with the error `internal_error`.
#[derive(Debug)]
pub struct Meter {
    handle: Arc<Handle>,
    row: i64,
    lease: Lease,
    open: bool,
}

impl Meter {
    /// Commits the opening row. The meter exists before the call is made: when this future is dropped, the meter's
    /// settlement follows the row into the queue.
    pub(crate) async fn begin(handle: Arc<Handle>, open: OpenRow) -> Result<Self, LedgerError> {
        let mut meter = Self {
            row: handle.next_row(),
            lease: Lease::first(open.most_tokens),
            handle,
            open: true,
        };
        let (reply, answer) = oneshot::channel();
        let begun = meter.handle.send(Call::Begin {
            row: meter.row,
            open: Box::new(open),
            leased: meter.lease.leased(),
            reply,
        });
        let begun = match begun {
            Ok(()) => answer.await.unwrap_or(Err(LedgerError::Stopped)),
            Err(error) => Err(error),
        };
        meter.open = begun.is_ok();
        begun.map(|()| meter)
    }

    /// Makes `tokens` completion tokens in all, over all choices, durable before they leave. Returns at once when the
    /// lease has room. The tokens covered before must have been sent: call it chunk by chunk, with at most
    /// [`crate::EXTENSION_TOKENS`] a chunk and [`crate::IN_FLIGHT_TOKENS`] not yet written to the client.
    ///
    /// # Errors
    /// [`LedgerError`] when the lease could not be committed: the tokens must not leave, and the request has to end.
    pub async fn cover(&mut self, tokens: u32) -> Result<(), LedgerError> {
        if let Some(leased) = self.lease.wanted(tokens) {
            let (reply, answer) = oneshot::channel();
            self.handle.send(Call::Extend {
                row: self.row,
                leased,
                reply,
            })?;
            answer.await.unwrap_or(Err(LedgerError::Stopped))?;
            self.lease.grant(leased);
        }
        self.lease.cover(tokens);
        Ok(())
    }

    /// Settles the row exactly; durable when it returns. Dropping the future does not undo it.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not durable yet. The settlement is kept and tried again until it succeeds.
    pub async fn settle(mut self, outcome: Outcome) -> Result<(), LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.close(outcome, Settlement::Exact, Some(reply))?;
        answer.await.unwrap_or(Err(LedgerError::Stopped))
    }

    fn close(
        &mut self,
        outcome: Outcome,
        settlement: Settlement,
        reply: Option<oneshot::Sender<Result<(), LedgerError>>>,
    ) -> Result<(), LedgerError> {
        self.open = false;
        let settled = Settled {
            row: self.row,
            outcome,
            settlement,
        };
        self.handle.send(Call::Settle {
            settled: Box::new(settled),
            reply,
        })
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let outcome = Outcome {
            completion_tokens: self.lease.covered(),
            error: Some(GenerationErrorKind::Internal),
            ..Outcome::default()
        };
        // A ledger that has stopped settles the row at its lease when it is opened again.
        let _ = self.close(outcome, Settlement::Lease, None);
    }
}
