//! Pure: (Inventory, `ModelFacts`, Demand) to a Plan, or the reason why not.
//!
//! What is demanded is honoured or refused; what is not is chosen as large as fits: first the context, up to the
//! model's own, then the sequences at once, up to [`DEFAULT_PARALLEL`]. Weights keep the types of their file.
//!
//! Invariants: a plan never takes more than the memory it was given; it lands on no other device than was asked for;
//! the same input gives the same plan; more memory never gives a smaller one.

mod explain;
mod fit;
pub mod knapsack;
mod place;
mod speed;
mod variant;

pub use fit::{DEFAULT_PARALLEL, MAX_PARALLEL, MIN_CONTEXT, STEP_ROWS};
pub use place::{HOST_RESERVE, plan};
pub use speed::predict_plan;
