//! What can be wrong with a model's files.

use std::io;
use std::path::{Path, PathBuf};

use mains_blocks::BlockFormat;

/// A file that can not be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct FormatError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it, told with the path: no source that would tell it twice.
    pub reason: Reason,
}

/// Why a file can not be used.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The system refused to read or write.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is another kind of file, or a version that is not read.
    #[error("{0}")]
    Kind(String),
    /// The file ends too early.
    #[error(
        "{what} at byte {at} needs {needed} bytes and {left} are left: the file is cut short; copy it again"
    )]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        at: u64,
        /// The bytes that it takes.
        needed: u64,
        /// The bytes that the file has there.
        left: u64,
    },
    /// A count beyond the bounds of [`crate::limits`].
    #[error("{what} is {found}; at most {limit} is accepted")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The count in the file.
        found: u64,
        /// The bound.
        limit: u64,
    },
    /// A text that is not UTF-8.
    #[error("{what} at byte {at} is not UTF-8")]
    Text {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        at: u64,
    },
    /// A name that occurs twice.
    #[error("{what} {name} occurs twice")]
    Duplicate {
        /// What has the name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A key that is missing or does not hold what it should.
    #[error("key {key} {reason}")]
    Key {
        /// The key's name.
        key: String,
        /// What is wrong, with the type found.
        reason: String,
    },
    /// A tensor that is missing or contradicts itself.
    #[error("tensor {name} {reason}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor in a type that is not read.
    #[error(
        "tensor {name} has the type {found}, which is not supported; supported are {}",
        supported()
    )]
    TensorType {
        /// The tensor's name.
        name: String,
        /// The type's published name, or its id when it has none.
        found: String,
    },
    /// A checkpoint that another program quantized.
    #[error(
        "the checkpoint is quantized with {method}, which is not supported; use the unquantized model or a GGUF file"
    )]
    Quantized {
        /// The method, as the configuration names it.
        method: String,
    },
    /// A file of the folder that is not there.
    #[error("has no {name}: {hint}")]
    Missing {
        /// The file's name.
        name: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A file name in an index that leads elsewhere.
    #[error("the index names the file {0:?}; only files inside the folder are read")]
    FileName(String),
    /// A text that is not the JSON it should be.
    #[error("is not the JSON that it should be: {0}")]
    Json(String),
    /// A safetensors header that is wrong.
    #[error("is not a safetensors file: {0}")]
    Safetensors(String),
}

impl Reason {
    /// Says which file it is about.
    #[must_use]
    pub fn at(self, path: &Path) -> FormatError {
        FormatError {
            path: path.to_owned(),
            reason: self,
        }
    }

    pub(crate) fn key(key: &str, reason: impl Into<String>) -> Self {
        Self::Key {
            key: key.to_owned(),
            reason: reason.into(),
        }
    }

    /// What is wrong with the tensor called `name`.
    pub fn tensor(name: &str, reason: impl Into<String>) -> Self {
        Self::Tensor {
            name: name.to_owned(),
            reason: reason.into(),
        }
    }
}

/// Checks a count against its bound.
pub(crate) fn at_most(what: &'static str, found: u64, limit: u64) -> Result<(), Reason> {
    if found <= limit {
        Ok(())
    } else {
        Err(Reason::Limit { what, found, limit })
    }
}

fn supported() -> String {
    BlockFormat::ALL.map(BlockFormat::name).join(", ")
}
