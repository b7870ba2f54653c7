//! What quantizing costs a model, measured: the importance of columns, the damage of types to groups of tensors, the choice of
//! types under a budget of bytes corrected by what whole choices were found to cost, and the comparison of two models.
//!
//! Pure over an injected [`Evaluate`]; [`Evaluator`] is the one that computes with a driver.

mod choice;
mod divergence;
mod error;
mod evaluator;
mod groups;
mod importance;
mod score;
mod sensitivity;
mod texts;

pub use choice::{Choice, choose};
pub use divergence::{Divergence, Interval, bootstrap, compare};
pub use error::MeasureError;
pub use evaluator::{Evaluate, Evaluator, Formats, logits};
pub use groups::{GroupOfTensors, candidates, groups};
pub use importance::importance;
pub use score::scores;
pub use sensitivity::{Measured, Measurement, rank_agreement};
pub use texts::{Outputs, Texts, each_row};

/// The calibration text: several languages, code, JSON, calls of tools and a long document, written for this.
pub const CALIBRATION: &str = include_str!("../calibration.txt");
