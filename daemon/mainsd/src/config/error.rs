//! What is wrong with a configuration.

use std::path::PathBuf;

/// A configuration that cannot be used. Names the file, and inside it the line and the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {reason}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// It is no TOML, a key is unknown or a value has the wrong type. The report quotes the line.
    #[error("{}:{line}: {report}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What and where.
        report: String,
    },
    /// A value cannot be honoured.
    #[error("{}:{line}: {key}: {problem}", .path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The key as a path, such as `teams.science.users`.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The environment does not say where files are to live.
    #[error("{0}")]
    Place(String),
}

/// The line, from 1, of a byte of `text`.
pub(crate) fn line_of(text: &str, byte: usize) -> usize {
    1 + text
        .as_bytes()
        .iter()
        .take(byte)
        .filter(|byte| **byte == b'\n')
        .count()
}
