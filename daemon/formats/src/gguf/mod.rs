//! GGUF: one file with typed metadata and tensors (ggml `docs/gguf.md`, versions 2 and 3, little-endian).

mod cursor;
mod from_value;
mod header;
pub mod limits;
mod metadata;
mod parts;
mod reader;
mod types;
mod value;
mod writer;

pub use from_value::FromValue;
pub use metadata::Metadata;
pub use reader::Gguf;
pub use value::{Array, Value};
pub use writer::{GgufWriter, TensorSpec};
