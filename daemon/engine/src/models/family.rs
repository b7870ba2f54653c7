//! What a family declares, and the two namings of its tensors.

use serde_json::Value;

use super::ModelError;
use super::settings::{Settings, TensorHints};
use crate::blocks::Architecture;

/// A model architecture: one value, declared in one file.
#[derive(Debug)]
pub struct Family {
    /// GGUF's `general.architecture` and `model_type` of `config.json`.
    pub name: &'static str,
    /// The name in tables.
    pub display_name: &'static str,
    /// Settings of `config.json`, beyond those of every family, that do not change what is computed.
    pub(super) ignored: &'static [&'static str],
    /// Every tensor under both names.
    pub(super) tensors: &'static [TensorName],
    /// Reads the settings into a declaration.
    pub(super) declare: fn(&mut Settings) -> Result<Architecture, ModelError>,
}

impl Family {
    /// The tensor's name in GGUF, or `None` when the family has no tensor of that name in Hugging Face files.
    #[must_use]
    pub fn gguf_name(&self, huggingface: &str) -> Option<String> {
        self.tensors
            .iter()
            .find_map(|tensor| translate(tensor.huggingface, tensor.gguf, huggingface))
    }

    /// The tensor's name in Hugging Face files, or `None` when the family has no tensor of that name in GGUF.
    #[must_use]
    pub fn huggingface_name(&self, gguf: &str) -> Option<String> {
        self.tensors
            .iter()
            .find_map(|tensor| translate(tensor.gguf, tensor.huggingface, gguf))
    }

    /// Whether the family has this tensor, by its GGUF name.
    #[must_use]
    pub fn has_tensor(&self, gguf: &str) -> bool {
        self.huggingface_name(gguf).is_some()
    }

    /// The declaration of a model with these settings.
    ///
    /// # Errors
    /// [`ModelError`] when a setting is missing, contradicts another or is not honoured.
    pub(super) fn declare(&self, settings: &mut Settings) -> Result<Architecture, ModelError> {
        let architecture = (self.declare)(settings)?;
        settings.refuse_unread(self.ignored)?;
        Ok(architecture)
    }

    /// The hyperparameters of a Hugging Face configuration under their GGUF keys, in the order in which the family
    /// reads them; `general.architecture` first.
    ///
    /// # Errors
    /// As for loading the model.
    pub fn gguf_metadata(
        &self,
        config: &Value,
        hints: TensorHints,
    ) -> Result<Vec<(String, Setting)>, ModelError> {
        let mut settings = Settings::from_huggingface(config, hints)?;
        self.declare(&mut settings)?;
        let architecture = ("general.architecture".to_owned(), Setting::Text(self.name));
        let hyperparameters = settings
            .into_read()
            .into_iter()
            .map(|(key, value)| (format!("{}.{key}", self.name), value));
        Ok(std::iter::once(architecture).chain(hyperparameters).collect())
    }
}

/// A hyperparameter as GGUF stores it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Setting {
    /// GGUF's `UINT32`.
    Integer(u32),
    /// GGUF's `FLOAT32`.
    Number(f32),
    /// GGUF's `STRING`.
    Text(&'static str),
}

/// One tensor's two names. `{}` stands for the layer's number and occurs in both or in none.
#[derive(Debug)]
pub(super) struct TensorName {
    gguf: &'static str,
    huggingface: &'static str,
}

impl TensorName {
    pub(super) const fn new(gguf: &'static str, huggingface: &'static str) -> Self {
        Self { gguf, huggingface }
    }
}

/// `name` by the pattern `to`, when it matches the pattern `from`.
fn translate(from: &str, to: &str, name: &str) -> Option<String> {
    let Some((prefix, suffix)) = from.split_once("{}") else {
        return (from == name).then(|| to.to_owned());
    };
    let layer = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    is_layer_number(layer).then(|| to.replacen("{}", layer, 1))
}

/// Digits without leading zeros: then each name has one counterpart.
fn is_layer_number(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::models;

    proptest! {
        #[test]
        fn names_are_a_bijection(name in "(model\\.|blk\\.|token_embd|lm_head)?[a-z_.0-9]{0,30}", layer in 0u32..100_000) {
            for family in models::families() {
                if let Some(gguf) = family.gguf_name(&name) {
                    prop_assert_eq!(family.huggingface_name(&gguf), Some(name.clone()));
                }
                for tensor in family.tensors {
                    let gguf = tensor.gguf.replace("{}", &layer.to_string());
                    let huggingface = tensor.huggingface.replace("{}", &layer.to_string());
                    prop_assert_eq!(family.gguf_name(&huggingface), Some(gguf.clone()));
                    prop_assert_eq!(family.huggingface_name(&gguf), Some(huggingface));
                }
            }
        }
    }

    #[test]
    fn a_layer_has_one_spelling() {
        let family = models::find("qwen3").unwrap();
        assert!(family.has_tensor("blk.10.attn_q.weight"));
        for name in [
            "blk.010.attn_q.weight",
            "blk.+1.attn_q.weight",
            "blk..attn_q.weight",
            "blk.1.attn_q.bias",
        ] {
            assert!(!family.has_tensor(name), "{name}");
        }
    }
}
