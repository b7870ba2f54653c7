//! Why something was not measured.

use mains_blocks::BlockError;
use mains_contract::DriverError;
use mains_engine::importance::MomentsError;
use mains_planner::knapsack::KnapsackError;

/// A measurement that failed.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The driver failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// A tensor can not be quantized.
    #[error("tensor {name}: {source}")]
    Tensor {
        /// Its name in GGUF.
        name: String,
        /// What does not fit.
        source: BlockError,
    },
    /// An importance file of another model.
    #[error(transparent)]
    Moments(#[from] MomentsError),
    /// No choice of types is possible.
    #[error(transparent)]
    Choice(#[from] KnapsackError),
    /// Texts that can not be measured on.
    #[error("{0}")]
    Texts(String),
}
