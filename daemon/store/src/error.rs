//! What can be wrong with models on disk.

use std::path::PathBuf;

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
    /// The disk is full.
    #[error("no space left to write {}: free at least {needed} bytes", .path.display())]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
        /// Bytes that it takes.
        needed: u64,
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
