//! GGUF, safetensors and files of packed weights, read and write; which files of a tar are a model's.
//!
//! A file is checked whole when it is opened: afterwards a tensor is a slice of the map and nothing can fail. Files are
//! untrusted: every bound is a named constant, arithmetic is checked, and nothing is allocated that the file's size does not
//! justify.
//!
//! Invariant: nothing here knows a family. Names of tensors and hyperparameters are the file's own.

mod error;
mod gguf;
mod huggingface;
mod map;
mod packed;
pub mod tar;
mod tensor;

pub use error::{FormatError, Reason};
pub use gguf::limits;
pub use gguf::{Array, FromValue, Gguf, GgufWriter, Metadata, TensorSpec, Value};
pub use huggingface::{HuggingFace, Shard};
pub use packed::{PackedFile, PackedTensor, PackedWriter, packed_bytes};
pub use tensor::Tensor;
