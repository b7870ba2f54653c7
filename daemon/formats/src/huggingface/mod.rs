//! A Hugging Face model folder: JSON files and safetensors.

mod folder;
mod packed;
mod shard;
mod template;

pub use folder::HuggingFace;
pub use shard::Shard;
