//! Operations as plain loops. A row is a slice as wide as its value; sums, exponentials and rotations are float64 and
//! rounded once, at the end.

mod attention;
mod elementwise;
mod experts;
mod groups;
mod linear;
mod norm;
mod recurrent;
mod rope;

pub(crate) use attention::{AttentionShape, attend};
pub(crate) use elementwise::{activate, activated, add, gated, multiply, scale, soft_cap};
pub(crate) use experts::{Router, combine, expert_linear};
pub(crate) use groups::{concat, slice};
pub(crate) use linear::{head_linear, linear};
pub(crate) use norm::{l2_norm, layer_norm, rms_norm};
pub(crate) use recurrent::{DeltaShape, convolve, gated_delta};
pub(crate) use rope::{Rotation, rope};

/// The one rounding at the end of an operation.
#[expect(clippy::cast_possible_truncation, reason = "values are float32")]
pub(crate) fn narrow(number: f64) -> f32 {
    number as f32
}
