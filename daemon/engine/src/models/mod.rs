//! Families, one declaration each, and the way from a model's files to a graph with its weights.
//!
//! A new family is one file and one line in [`families`].

mod activation;
mod bert;
mod biases;
mod checkpoint;
mod cohere2;
pub mod convert;
mod costs;
mod cut;
mod deepseek_v3;
mod defaults;
mod encoders;
mod ernie4_5;
mod error;
mod exaone4;
mod experts;
mod family;
mod gemma;
mod gemma2;
mod gemma3_text;
mod gemma4_heads;
mod gemma4_text;
mod glm4;
mod glm4_moe;
mod gpt_oss;
mod granite;
mod hunyuan_v1_dense;
mod keys;
mod llama;
mod made;
mod mistral;
mod mixtral;
mod model;
mod modernbert;
mod olmo2;
mod packed;
mod phi3;
mod prelude;
mod qwen2;
mod qwen2_moe;
mod qwen3;
mod qwen3_5_text;
mod qwen3_moe;
mod qwen3_next;
mod qwen_next;
mod rope;
mod settings;
mod sizes;
mod smollm3;
mod starcoder2;
mod tensors;
mod text_part;
mod tiny;
mod transform;
mod value_heads;
mod weights;
mod windows;
mod xlm_roberta;

pub use checkpoint::Checkpoint;
pub use costs::LoadCosts;
pub use error::ModelError;
pub use family::{Family, Setting};
pub use made::MadeWeights;
pub use model::{Model, ModelInfo, ModelOptions};
pub use packed::{PackError, PackedWeights, packed_bytes, write_packed};
pub use settings::{RopeFactors, TensorHints};
pub use weights::{Cast, Weights};

/// Every family.
#[must_use]
pub fn families() -> &'static [Family] {
    const FAMILIES: &[Family] = &[
        bert::FAMILY,
        cohere2::FAMILY,
        deepseek_v3::FAMILY,
        ernie4_5::FAMILY,
        exaone4::FAMILY,
        gemma2::FAMILY,
        gemma3_text::FAMILY,
        gemma4_text::FAMILY,
        glm4::FAMILY,
        glm4_moe::FAMILY,
        gpt_oss::FAMILY,
        granite::FAMILY,
        hunyuan_v1_dense::FAMILY,
        llama::FAMILY,
        // Before Mistral, which may have the same marks in GGUF and more.
        mixtral::FAMILY,
        mistral::FAMILY,
        modernbert::FAMILY,
        olmo2::FAMILY,
        phi3::FAMILY,
        qwen2::FAMILY,
        qwen2_moe::FAMILY,
        qwen3::FAMILY,
        qwen3_5_text::FAMILY,
        qwen3_moe::FAMILY,
        qwen3_next::FAMILY,
        smollm3::FAMILY,
        starcoder2::FAMILY,
        xlm_roberta::FAMILY,
    ];
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
        .ok_or_else(|| unknown(name))
}

/// The family of a GGUF file of this architecture; `has_key` tells whether it has a key behind the architecture's name
/// and a dot.
///
/// # Errors
/// [`ModelError::UnknownFamily`] lists those that there are.
fn find_gguf(architecture: &str, has_key: impl Fn(&str) -> bool) -> Result<&'static Family, ModelError> {
    let alike = || families().iter().filter(|family| family.gguf == architecture);
    let marked = |family: &&Family| family.gguf_marker.is_some_and(&has_key);
    let found = alike().find(marked);
    let found = found.or_else(|| alike().find(|family| family.gguf_marker.is_none()));
    found.ok_or_else(|| unknown(architecture))
}

fn unknown(found: &str) -> ModelError {
    let names: Vec<&str> = families().iter().map(|family| family.name).collect();
    ModelError::UnknownFamily {
        found: found.to_owned(),
        known: names.join(", "),
    }
}
