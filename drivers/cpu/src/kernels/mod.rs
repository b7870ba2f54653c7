//! What is computed, each written once over the primitives of [`crate::simd`].

#![expect(
    clippy::needless_range_loop,
    reason = "tiles of constant size index several arrays with one counter; iterators hide that they stay in registers"
)]

mod attention;
mod elementwise;
mod linear;
mod math;
mod norm;
mod number;
mod plain;
mod q4_k;
mod q8_0;
mod quantize;
mod rope;
mod store;
mod tiles;

pub(crate) use attention::{Attend, AttentionShape, SCORE_HEADS, StateRows};
pub(crate) use elementwise::{Add, Gated};
pub(crate) use linear::{Input, Linear};
pub(crate) use norm::RmsNorm;
pub(crate) use number::{Number, StateNumber};
pub(crate) use quantize::{Quantize, QuantizedRows, block_numbers, quant_bytes};
pub(crate) use rope::{Rope, fill_angles};
pub(crate) use store::StoreRow;
