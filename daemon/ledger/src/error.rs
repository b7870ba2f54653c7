//! What goes wrong with a ledger, and what to do about it.

use std::path::PathBuf;

use mains_types::{GenerationError, GenerationErrorKind};

/// A ledger that can not be opened, read or written. One failed commit answers every call in it, so errors are cloned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Another process has it.
    #[error("{path}: another mainsd uses this ledger; stop it first")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path}: not a ledger of mains ({reason}); move it away or name another file")]
    NotALedger {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        reason: String,
    },
    /// A later version wrote it and this one would misread it.
    #[error(
        "{path}: needs a mains that knows ledger version {needed}, this one knows {known}; upgrade or restore a backup"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// The version that a reader must know.
        needed: i64,
        /// The version that this program knows.
        known: i64,
    },
    /// The database is damaged.
    #[error("{path}: damaged ({report}); restore a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite's `integrity_check` says.
        report: String,
    },
    /// There is no room to record.
    #[error("{path}: the disk is full; free {needed} bytes and requests are accepted again by themselves")]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// Free bytes that end the refusal.
        needed: u64,
    },
    /// An id came twice.
    #[error("request id {id} is already in the ledger; give every request its own")]
    Duplicate {
        /// The id.
        id: String,
    },
    /// SQLite refused.
    #[error("{path}: {doing} failed: {reason}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// SQLite's words.
        reason: String,
    },
    /// The operating system refused.
    #[error("{path}: {doing} failed: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The system's words.
        reason: String,
    },
    /// The writer thread has ended.
    #[error("the ledger has stopped; restart mainsd")]
    Stopped,
}

impl From<LedgerError> for GenerationError {
    fn from(error: LedgerError) -> Self {
        let kind = match error {
            LedgerError::Duplicate { .. } => GenerationErrorKind::Internal,
            _ => GenerationErrorKind::Unmetered,
        };
        Self {
            kind,
            message: format!("the request can not be recorded: {error}"),
            param: None,
        }
    }
}
