//! Families, one declaration each, and the way from a model's files to a graph with its weights.
//!
//! A new family is one file and one line in [`families`].

mod checkpoint;
pub mod convert;
mod defaults;
mod error;
mod family;
mod keys;
mod model;
mod qwen3;
mod settings;
mod weights;

pub use checkpoint::Checkpoint;
pub use error::ModelError;
pub use family::{Family, Setting};
pub use model::{Model, ModelInfo, ModelOptions};
pub use settings::TensorHints;
pub use weights::{Cast, Weights};

/// Every family.
#[must_use]
pub fn families() -> &'static [Family] {
    const FAMILIES: &[Family] = &[qwen3::FAMILY];
    FAMILIES
}

/// The family called `name`.
///
/// # Errors
/// [`ModelError::UnknownFamily`] lists those that there are.
pub fn find(name: &str) -> Result<&'static Family, ModelError> {
    families()
        .iter()
        .find(|family| family.name == name)
        .ok_or_else(|| ModelError::UnknownFamily {
            found: name.to_owned(),
            known: families()
                .iter()
                .map(|family| family.name)
                .collect::<Vec<_>>()
                .join(", "),
        })
}
