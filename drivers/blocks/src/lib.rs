//! Block formats of weights: the one definition of each layout, quantize and dequantize.
//!
//! Formats are those of GGUF. [`dequantize`] gives the same bits as the `gguf` package of ggml; [`quantize`] refuses what
//! a format can not hold rather than storing an infinity or a NaN.
//!
//! Invariant: nothing here panics, whatever the bytes; lengths are checked before anything is written.

mod dequantize;
mod error;
mod format;
mod layout;
mod q4_k;
mod quantize;

pub use dequantize::dequantize;
pub use error::BlockError;
pub use format::BlockFormat;
pub use layout::{BlockQ4K, BlockQ8_0, Q4_K_SUB_BLOCKS, Q4_K_SUB_LEN};
pub use quantize::quantize;
