//! What a family's file needs: the builder of its declaration, and everything to declare with.

pub(super) use mains_contract::{Activation, RopePairing};

pub(super) use super::ModelError;
pub(super) use super::family::{Family, TensorName};
pub(super) use super::settings::Settings;
pub(super) use super::sizes::Sizes;
pub(super) use crate::blocks::{Architecture, Attention, Decoder, Experts, GatedMlp, HeadNorm, SharedExpert};

type Declare = fn(&mut Settings) -> Result<Architecture, ModelError>;

impl Family {
    /// The family that both forms of files call `name`.
    pub(super) const fn new(
        name: &'static str,
        display_name: &'static str,
        tensors: &'static [&'static [TensorName]],
        declare: Declare,
    ) -> Self {
        Self {
            name,
            display_name,
            gguf: name,
            gguf_marker: None,
            ignored: &[],
            tensors,
            declare,
        }
    }

    /// The same with another name in GGUF.
    pub(super) const fn in_gguf(self, gguf: &'static str) -> Self {
        Self { gguf, ..self }
    }

    /// The same with a key that tells it from others of its name in GGUF.
    pub(super) const fn marked(self, key: &'static str) -> Self {
        Self {
            gguf_marker: Some(key),
            ..self
        }
    }

    /// The same with settings that do not change what is computed.
    pub(super) const fn ignoring(self, ignored: &'static [&'static str]) -> Self {
        Self { ignored, ..self }
    }
}
