//! Pure: (Inventory, `ModelFacts`, Demand) to a Plan, or the reason why not.
//!
//! What is demanded is honoured or refused; what is not is chosen by the policy: types of tensors and of cached keys and
//! values, the context up to the model's own and [`MAX_DEFAULT_CONTEXT`], the sequences at once up to [`DEFAULT_PARALLEL`].
//! Weights of a model that was not measured keep the types of their file.
//!
//! Invariants: a plan never takes more than the memory it was given; it lands on no other device than was asked for;
//! the same input gives the same plan; more memory never gives a smaller context under the policy `balanced`, nor fewer
//! sequences at the same one.

mod adds;
mod around;
mod cut;
mod explain;
mod fit;
pub mod knapsack;
mod place;
mod policy;
mod rooms;
mod share;
mod speed;
mod steady;
mod types;
mod variant;

pub use around::around;
pub use fit::{DEFAULT_PARALLEL, MAX_DEFAULT_CONTEXT, MAX_PARALLEL, MIN_CONTEXT, STEP_ROWS};
pub use place::plan;
pub use policy::{BALANCED_KL, QUALITY_CONTEXT, SPEED_KL, WORST_KL};
pub use rooms::HOST_RESERVE;
pub use speed::predict_plan;
pub use steady::{KEPT_KL, KEPT_SHARE, KeptTypes, MEMORY_STEPS, plan_steadily};
pub use variant::is_variant_of;
