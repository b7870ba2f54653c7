//! Block formats of weights: the one definition of each layout, quantize and dequantize.
//!
//! Formats are those of GGUF. [`dequantize`] gives the same bits as the `gguf` package of ggml; [`quantize`] refuses what
//! a format can not hold rather than storing an infinity or a NaN.
//!
//! A format is a row of the table in `format.rs` and a file in `formats/`, which gives its layout as a [`Block`].
//!
//! Invariant: nothing here panics, whatever the bytes; lengths are checked before anything is written.

mod block;
mod cache;
mod dequantize;
mod error;
mod feedback;
mod format;
mod formats;
mod planes;
mod quantize;
mod search;
mod sub_scales;

pub use block::Block;
pub use cache::{CACHE_BLOCK, rotate, rotated_together};
pub use dequantize::dequantize;
pub use error::BlockError;
pub use feedback::{Factor, quantize_with_feedback};
pub use format::BlockFormat;
pub use formats::{
    BlockIq4Nl, BlockIq4Xs, BlockMxfp4, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0,
    BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0, Q4_K_SUB_BLOCKS, Q4_K_SUB_LEN,
};
pub use quantize::{quantize, quantize_weighted};
