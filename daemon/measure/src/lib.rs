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
mod whole;

pub use choice::{Choice, Solution, choose, solve};
pub use divergence::{Divergence, Interval, bootstrap, compare};
pub use error::MeasureError;
pub use evaluator::{Evaluate, Evaluator, Formats, logits};
pub use groups::{GroupOfTensors, candidates, groups};
pub use importance::importance;
pub use score::scores;
pub use sensitivity::{Measured, Measurement, rank_agreement};
pub use texts::{Outputs, Texts, each_row};
pub use whole::measure_whole;

/// The calibration text, written for this: prose in nearly thirty languages, code in a dozen, JSON and other data,
/// conversations with calls of tools, and a long document.
pub const CALIBRATION: &str = concat!(
    include_str!("../calibration/mixed.txt"),
    "\n",
    include_str!("../calibration/prose.txt"),
    "\n",
    include_str!("../calibration/languages.txt"),
    "\n",
    include_str!("../calibration/code.txt"),
    "\n",
    include_str!("../calibration/data.txt"),
    "\n",
    include_str!("../calibration/chat.txt"),
    "\n",
    include_str!("../calibration/long.txt"),
);
