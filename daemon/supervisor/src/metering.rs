//! What the supervisor asks of a ledger. The real one is [`mains_ledger::Ledger`]; tests inject one that refuses.

use futures_util::future::BoxFuture;
use mains_ledger::{Ledger, LedgerError, OpenRow, Outcome};

/// Records requests durably.
pub trait Metering: Send + Sync + 'static {
    /// Opens the row of a request; durable, with a first lease, when it resolves.
    fn begin(&self, row: OpenRow) -> BoxFuture<'_, Result<Box<dyn Meter>, LedgerError>>;
}

/// The open row of one request. Dropping it unsettled leaves it to the ledger to settle it as a defect.
pub trait Meter: Send {
    /// Makes durable that `tokens` completion tokens in all may have left the box.
    fn cover(&mut self, tokens: u32) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Closes the row, exactly and durably.
    fn settle(self: Box<Self>, outcome: Outcome) -> BoxFuture<'static, Result<(), LedgerError>>;
}

impl Metering for Ledger {
    fn begin(&self, row: OpenRow) -> BoxFuture<'_, Result<Box<dyn Meter>, LedgerError>> {
        Box::pin(async move {
            let meter = Self::begin(self, row).await?;
            Ok(Box::new(meter) as Box<dyn Meter>)
        })
    }
}

impl Meter for mains_ledger::Meter {
    fn cover(&mut self, tokens: u32) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(Self::cover(self, tokens))
    }

    fn settle(self: Box<Self>, outcome: Outcome) -> BoxFuture<'static, Result<(), LedgerError>> {
        Box::pin(Self::settle(*self, outcome))
    }
}
