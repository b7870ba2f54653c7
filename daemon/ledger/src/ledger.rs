//! The handle of a ledger.

use std::path::Path;

use jiff::Timestamp;

use crate::{
    Health, LedgerConfig, LedgerError, Meter, OpenRow, RequestQuery, RequestRow, UsageQuery, UsageRow,
};

/// A ledger that this process alone writes. Cheap to clone; the writer thread ends with the last clone and meter.
#[derive(Debug, Clone)]
pub struct Ledger {
    stopped: LedgerError,
}

impl Ledger {
    /// Opens the ledger at `path` or makes one. Rows that a crash left open are settled at their lease.
    ///
    /// # Errors
    /// [`LedgerError`] when another process has it, it is no ledger, a later version's, damaged, or cannot be written.
    pub fn open(_path: &Path, _config: LedgerConfig) -> Result<Self, LedgerError> {
        Err(LedgerError::Stopped)
    }

    /// How many rows a crash had left open when this ledger was opened.
    #[must_use]
    pub fn recovered(&self) -> u64 {
        0
    }

    /// Commits a request's row with a first lease; durable when it returns.
    ///
    /// # Errors
    /// [`LedgerError::DiskFull`] while there is no room, [`LedgerError::Duplicate`] for an id that was used.
    pub async fn begin(&self, _row: OpenRow) -> Result<Meter, LedgerError> {
        Err(self.stopped.clone())
    }

    /// Sums of usage in order of their key. Reads the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`LedgerError::Sqlite`] when it cannot be read.
    pub fn usage(&self, _query: &UsageQuery) -> Result<Vec<UsageRow>, LedgerError> {
        Err(self.stopped.clone())
    }

    /// Single requests, the newest last. Reads the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`LedgerError::Sqlite`] when it cannot be read.
    pub fn requests(&self, _query: &RequestQuery) -> Result<Vec<RequestRow>, LedgerError> {
        Err(self.stopped.clone())
    }

    /// Copies the ledger to `to` while it is written; `to` appears complete and checked, or not at all. Reads and
    /// writes the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`LedgerError`] when `to` cannot be written or the copy is not sound.
    pub fn backup(&self, _to: &Path) -> Result<(), LedgerError> {
        Err(self.stopped.clone())
    }

    /// Puts `backup` in the place of the ledger at `path`. The ledger that was there is kept beside it.
    ///
    /// # Errors
    /// [`LedgerError::Locked`] while a daemon has it; others when the backup is not sound or cannot be copied.
    pub fn restore(_backup: &Path, _path: &Path) -> Result<(), LedgerError> {
        Err(LedgerError::Stopped)
    }

    /// Removes the rows of whole UTC days before `older_than` and keeps their sums. Returns how many rows went.
    ///
    /// # Errors
    /// [`LedgerError`] when it could not be committed.
    pub async fn prune(&self, _older_than: Timestamp) -> Result<u64, LedgerError> {
        Err(self.stopped.clone())
    }

    /// State of the writer thread; never waits for it.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            stopped: true,
            committing: false,
            last_round: std::time::Duration::ZERO,
            oldest_wait: None,
            disk_full: false,
            unrecorded: 0,
        }
    }
}
