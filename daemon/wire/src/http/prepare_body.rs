//! Lines of `POST /admin/models/{id}/prepare`, and what a plan says of its files.

use serde::{Deserialize, Serialize};

/// What is there of the files that a load of a plan maps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedBody {
    /// Digest of the plan's weights, hexadecimal: files are called by it. Plans that differ in keys and values only share it.
    pub weights: String,
    /// Where its weights are: `stored` in the model's own files, `ready` in a file that was made, or `missing`: made at the first
    /// load, or by `mains prepare`.
    pub variant: String,
    /// Whether they are packed for its driver.
    pub packed: bool,
}

/// How the files of a plan come to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrepareEvent {
    /// So much of a file is written.
    Progress {
        /// What is made: `types`, the model in other types, or `layout`, its weights packed for the driver.
        step: String,
        /// Bytes that are written.
        written: u64,
        /// All of them.
        bytes: u64,
    },
    /// All is there. The last line.
    Ready {
        /// The plan's digest, hexadecimal, which rows of usage name.
        variant: String,
        /// What is there.
        prepared: PreparedBody,
        /// Why its weights are not packed, where they were to be.
        note: Option<String>,
    },
    /// It can not be made. The last line.
    Failed {
        /// Why, and what to do.
        error: String,
    },
}
