//! Parts that families share. A family is a [`Decoder`] value; each part knows how to add itself to a graph.
//!
//! Invariant: a part takes its weights by their GGUF names and knows nothing of files.

mod architecture;
mod attention;
mod decoder;
mod encoder;
mod experts;
mod gated_delta;
mod latent;
mod mixer;
mod mlp;
mod norm;
mod per_layer;
mod rope;

pub use architecture::{Architecture, Sizes};
pub use attention::{Attention, HeadNorm, KeyValues};
pub use decoder::{Arrangement, Decoder, DecoderLayer};
pub use encoder::{Encoder, EncoderNorms};
pub use experts::{Experts, SharedExpert};
pub use gated_delta::{GatedDelta, GatedDeltaForm};
pub use latent::LatentAttention;
pub use mixer::Mixer;
pub use mlp::{GatedMlp, Mlp, PlainMlp};
pub use norm::{Norm, NormKind};
pub use per_layer::PerLayerInput;
pub use rope::Rope;
