//! What can be wrong with models on disk.

use std::path::PathBuf;

use mains_contract::Bytes;

/// Models on disk that are not in order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A name that can not be used in URLs, file names and tables alike.
    #[error("model name {name:?} is not 1 to 128 of A-Z a-z 0-9 . _ : - (and not only dots); rename it")]
    Name {
        /// What was given.
        name: String,
    },
    /// Two models of one name.
    #[error("model {name} is there twice, as {} and as {}; rename or remove one", .first.display(), .second.display())]
    Duplicate {
        /// The name.
        name: String,
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A configured model is not there or is no model.
    #[error("model {name}: {} {reason}", .path.display())]
    NoModel {
        /// The name.
        name: String,
        /// Where it should be.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Something of what is to be imported can not be taken.
    #[error("{what} {why}")]
    Refused {
        /// The file, or what else is at fault.
        what: String,
        /// Why, and what to do.
        why: String,
    },
    /// Too little would be left of the disk.
    #[error("{needed} more would leave less than 5 % of the disk free: {missing} are missing at {}; remove models with `mains rm`, or make room there", .path.display())]
    NoRoom {
        /// Where the store is.
        path: PathBuf,
        /// Bytes that are still to come.
        needed: Bytes,
        /// Bytes that would have to be free beyond those that are.
        missing: Bytes,
    },
    /// The name belongs to something else.
    #[error("{name} {why}")]
    Taken {
        /// The name.
        name: String,
        /// What has it, and what to do.
        why: String,
    },
    /// There is no such import.
    #[error("there is no import {id}; start it again")]
    NoImport {
        /// What was asked for.
        id: String,
    },
    /// Bytes do not follow those that are there.
    #[error("file {number} of the import goes on at byte {expected}")]
    Offset {
        /// The file's number.
        number: usize,
        /// Where its next bytes belong.
        expected: Bytes,
    },
    /// Bytes are missing or were changed on their way.
    #[error("{file} did not arrive as it was sent: {why}; import it again, what is safe is not sent twice")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The disk is full.
    #[error("no space left to write {}: free at least {needed} bytes", .path.display())]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
        /// Bytes that are missing.
        needed: u64,
    },
    /// Files that are made of models have no more room.
    #[error(
        "{} takes {bytes}, {missing} more than is left of the {budget} for files that are made of models: raise `cache` of \
         `[store]` or unload a model",
        .path.display()
    )]
    Budget {
        /// What is to be made.
        path: PathBuf,
        /// Bytes that it takes.
        bytes: Bytes,
        /// Bytes that all of them may take.
        budget: Bytes,
        /// Bytes that are missing.
        missing: Bytes,
    },
    /// The file system refused.
    #[error("can not {action} {}: {reason}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }
}
