//! Why a model's files were refused.

use mains_contract::GraphError;

/// A model that cannot be used, and what about it.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The files cannot be read.
    #[error(transparent)]
    Files(#[from] mains_formats::FormatError),
    /// No family of ours.
    #[error("architecture {found} is not supported; supported are: {known}")]
    UnknownFamily {
        /// What the files say.
        found: String,
        /// The families, with commas.
        known: String,
    },
    /// A setting that would change what is computed, and that is not honoured.
    #[error("setting {name} = {value} is not supported: {reason}")]
    Setting {
        /// Its name in the file.
        name: String,
        /// Its value, as JSON.
        value: String,
        /// What is supported.
        reason: String,
    },
    /// A setting that must be there.
    #[error("setting {name} is missing")]
    MissingSetting {
        /// Its name in the file.
        name: String,
    },
    /// A tensor that is missing, does not belong, or has the wrong shape.
    #[error("tensor {name}: {reason}")]
    Tensor {
        /// Its name in the file.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Sizes that contradict each other.
    #[error("the model's sizes contradict each other: {0}")]
    Sizes(#[from] GraphError),
}

impl ModelError {
    /// A setting that is not honoured.
    pub(crate) fn setting(name: &str, value: &serde_json::Value, reason: impl Into<String>) -> Self {
        Self::Setting {
            name: name.to_owned(),
            value: shortened(&value.to_string()),
            reason: reason.into(),
        }
    }
}

/// The start of a value, so that a hostile file does not fill the log.
fn shortened(text: &str) -> String {
    /// Characters of a value in an error: enough to recognise it.
    const MAX_SHOWN: usize = 80;
    if text.chars().count() <= MAX_SHOWN {
        return text.to_owned();
    }
    let start: String = text.chars().take(MAX_SHOWN).collect();
    format!("{start}...")
}
