//! Parts that families share. A family is a [`Decoder`] value; each part knows how to add itself to a graph.
//!
//! Invariant: a part takes its weights by their GGUF names and knows nothing of files.

mod architecture;
mod attention;
mod decoder;
mod experts;
mod mlp;
mod norm;
mod rope;

pub use architecture::{Architecture, Sizes};
pub use attention::{Attention, HeadNorm};
pub use decoder::{Decoder, DecoderLayer};
pub use experts::{Experts, SharedExpert};
pub use mlp::{GatedMlp, Mlp};
pub use norm::RmsNorm;
pub use rope::Rope;
