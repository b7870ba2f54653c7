//! Why a model was not converted.

use std::io;

use mains_blocks::BlockError;
use mains_contract::DriverError;
use mains_formats::{FormatError, Reason};

use crate::models::ModelError;

/// A model that was not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// It can not be loaded either.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its files can not be read.
    #[error(transparent)]
    Files(#[from] FormatError),
    /// The new file would break the format's bounds.
    #[error("the new file: {0}")]
    Head(#[from] Reason),
    /// A tensor's numbers can not be made.
    #[error(transparent)]
    Weight(DriverError),
    /// A format for a tensor that the model does not have.
    #[error("a format is given for {name}, but the model has no such tensor")]
    NoSuchTensor {
        /// The name given.
        name: String,
    },
    /// An importance for a matrix of another shape.
    #[error(
        "the importance of {name} has {found} values, its rows have {columns} numbers; measure it with this model"
    )]
    Importance {
        /// The tensor's name in GGUF.
        name: String,
        /// Values given.
        found: usize,
        /// Numbers in a row.
        columns: usize,
    },
    /// A number does not fit the format.
    #[error("tensor {name}, row {row}: {source}")]
    Tensor {
        /// The tensor's name in GGUF.
        name: String,
        /// The row, from 0.
        row: usize,
        /// What does not fit.
        source: BlockError,
    },
    /// The tokenizer has something that is not carried over to GGUF.
    #[error("the tokenizer's {what} is {found}; only {expected} can be converted")]
    Tokenizer {
        /// What is not carried over.
        what: &'static str,
        /// What it is, shortened.
        found: String,
        /// What can be.
        expected: &'static str,
    },
    /// The new file can not be written.
    #[error("writing the new file: {0}")]
    Write(#[from] io::Error),
}
