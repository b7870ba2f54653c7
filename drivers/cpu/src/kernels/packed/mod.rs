//! Quantized weights as kernels read them: 16 rows side by side.
//!
//! Of 4 columns, the levels of 16 rows make one vector of 64 bytes, row by row; so one instruction advances 16 outputs and
//! no sum runs across lanes. Levels are stored without a sign (`stored = level + ZERO`), as the products of int8 want
//! them; what that adds to a sum is taken off before it begins. A group of 16 rows has the vectors of all its columns
//! first and then the scales, so that both are aligned. `pack` makes it from the blocks of a file, number by number
//! the same.
//!
//! Every format ends in the same product (`tile`): the exact int32 sum of a sub-block, times both scales, is added to
//! the output in the order of the columns. `panel` unpacks a format to bytes once for many rows of activations; it
//! changes no bit.

mod formats;
mod layout;
mod pack;
mod panel;
mod product;
mod row;
mod tile;

pub(crate) use formats::is_packed;
pub(crate) use layout::{GROUP, groups};
pub(crate) use pack::{PackGroup, UnpackGroup, group_bytes};
pub(crate) use panel::panel_bytes;
pub(crate) use product::PackedProduct;
pub(crate) use row::UnpackRow;
