//! Block formats of weights: the one definition of each layout, quantize and dequantize.

mod format;

pub use format::BlockFormat;
