//! What is computed, each written once over the primitives of [`crate::simd`].

#![expect(
    clippy::needless_range_loop,
    reason = "tiles of constant size index several arrays with one counter; iterators hide that they stay in registers"
)]

mod attention;
mod cached;
mod convolution;
mod delta;
mod elementwise;
mod items;
mod linear;
mod math;
mod norm;
mod number;
mod packed;
mod plain;
mod quantize;
mod rope;
mod route;
mod store;

pub(crate) use attention::{Attend, AttentionShape, SCORE_QUERIES, StateRows, TILE_ROWS};
pub(crate) use cached::Cached;
pub(crate) use convolution::Convolve;
pub(crate) use delta::DeltaToken;
pub(crate) use elementwise::{CombineGroups, Function, Map, Pairing, ScaleGroups, Zip};
pub(crate) use items::{Item, Items, Sink};
pub(crate) use linear::{PlainProduct, PlainRows};
pub(crate) use norm::{Norm, Normalise};
pub(crate) use packed::{
    GROUP, PackGroup, PackedProduct, UnpackGroup, UnpackRow, group_bytes, groups, is_packed, panel_bytes,
};
pub(crate) use quantize::{Quantize, QuantizedRows, quantized_bytes};
pub(crate) use rope::{Rope, fill_angles};
pub(crate) use route::{Router, expert};
pub(crate) use store::StoreRow;
