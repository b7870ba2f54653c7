//! What a family's declaration comes to.

use mains_contract::{BlockFormat, Graph, GraphError};

use super::{Decoder, Encoder, GatedDelta, Mixer};

/// A whole model.
#[derive(Debug, Clone, PartialEq)]
pub enum Architecture {
    /// Generates tokens.
    Decoder(Decoder),
    /// Gives a row for each token of a text.
    Encoder(Encoder),
}

/// Sizes of a whole model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Positions that the model was made for.
    pub context: usize,
}

impl Architecture {
    /// The graph, with keys and values cached in `kv_format`.
    ///
    /// # Errors
    /// [`GraphError`] when the declaration's sizes contradict each other.
    pub fn graph(&self, kv_format: BlockFormat) -> Result<Graph, GraphError> {
        match self {
            Self::Decoder(decoder) => decoder.graph(kv_format),
            Self::Encoder(encoder) => encoder.graph(kv_format),
        }
    }

    /// Its sizes.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        match self {
            Self::Decoder(decoder) => Sizes {
                layers: decoder.layers.len(),
                width: decoder.width,
                vocabulary: decoder.vocabulary,
                context: decoder.context,
            },
            Self::Encoder(encoder) => Sizes {
                layers: encoder.layers.len(),
                width: encoder.width,
                vocabulary: encoder.vocabulary,
                context: encoder.context,
            },
        }
    }

    /// The linear attention by the gated delta rule that some layers have, the first if they differ.
    #[must_use]
    pub fn gated_delta(&self) -> Option<GatedDelta> {
        let Self::Decoder(decoder) = self else {
            return None;
        };
        decoder.layers.iter().find_map(|layer| match layer.instead {
            Some(Mixer::GatedDelta(delta)) => Some(delta),
            _ => None,
        })
    }

    /// Whether it makes logits by a matrix that files may hold twice: as the embedding and for the logits.
    #[must_use]
    pub fn tied(&self) -> bool {
        match self {
            Self::Decoder(decoder) => decoder.tied,
            Self::Encoder(_) => false,
        }
    }
}

impl From<Decoder> for Architecture {
    fn from(decoder: Decoder) -> Self {
        Self::Decoder(decoder)
    }
}

impl From<Encoder> for Architecture {
    fn from(encoder: Encoder) -> Self {
        Self::Encoder(encoder)
    }
}
