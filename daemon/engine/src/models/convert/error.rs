//! Why a model was not converted.

use std::io;

use mains_blocks::BlockError;
use mains_contract::DriverError;
use mains_formats::{FormatError, Reason};
use mains_text::TextError;

use crate::importance::MomentsError;
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
    /// Moments for a matrix of another shape.
    #[error(transparent)]
    Moments(#[from] MomentsError),
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
    /// The tokenizer has something that GGUF can not say, or can not be used itself.
    #[error("tokenizer.json: {0}")]
    Tokenizer(#[from] TextError),
    /// The new file can not be written.
    #[error("writing the new file: {0}")]
    Write(#[from] io::Error),
}
