//! What a family declares, and the two namings of its tensors.

use mains_contract::{BlockFormat, Graph};
use serde_json::Value;

use super::settings::{Settings, TensorHints};
use super::text_part::own_config;
use super::transform::Transform;
use super::{ModelError, tiny};
use crate::blocks::Architecture;

/// A model architecture: one value, declared in one file.
#[derive(Debug)]
pub struct Family {
    /// `model_type` of `config.json`.
    pub name: &'static str,
    /// GGUF's `general.architecture`. Several families may share one.
    pub gguf: &'static str,
    /// The key, behind the architecture's name and a dot, that tells this family from others of the same architecture.
    pub(super) gguf_marker: Option<&'static str>,
    /// The name in tables.
    pub display_name: &'static str,
    /// Settings of `config.json`, beyond those of every family, that do not change what is computed.
    ignored: &'static [&'static str],
    /// Every tensor under both names, in groups.
    tensors: [&'static [&'static [TensorName]]; 2],
    /// Reads the settings into a declaration.
    declare: Declare,
    /// Settings of small models, a list.
    tiny: fn() -> Value,
}

type Declare = fn(&mut Settings) -> Result<Architecture, ModelError>;

impl Family {
    /// The family that both forms of files call `name`. `tiny` lists what small models, that between them use all that it
    /// is made of, have beyond [`super::tiny::base`].
    pub(super) const fn new(
        name: &'static str,
        display_name: &'static str,
        tensors: &'static [&'static [TensorName]],
        declare: Declare,
        tiny: fn() -> Value,
    ) -> Self {
        Self {
            name,
            display_name,
            gguf: name,
            gguf_marker: None,
            ignored: &[],
            tensors: [tensors, &[]],
            declare,
            tiny,
        }
    }

    /// The same with more tensors.
    pub(super) const fn adding(self, more: &'static [&'static [TensorName]]) -> Self {
        let [tensors, _] = self.tensors;
        Self {
            tensors: [tensors, more],
            ..self
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

    /// Small configurations, each a `config.json`, that between them use all operations of the family.
    #[must_use]
    pub fn tiny(&self) -> Vec<Value> {
        let whole = |own: Value| {
            let mut config = tiny::laid(tiny::base(), own);
            config["model_type"] = self.name.into();
            config
        };
        match (self.tiny)() {
            Value::Array(listed) => listed.into_iter().map(whole).collect(),
            one => vec![whole(one)],
        }
    }

    /// The graph of a model with this `config.json`, with keys and values cached in `kv_format`: what drivers judge a
    /// family by before there is a file.
    ///
    /// # Errors
    /// As for loading the model.
    pub fn graph(&self, config: &Value, kv_format: BlockFormat) -> Result<Graph, ModelError> {
        let mut settings = Settings::from_huggingface(&own_config(config), TensorHints::default())?;
        Ok(self.declare(&mut settings)?.graph(kv_format)?)
    }

    /// The tensor's name in GGUF, or `None` when the family has no tensor of that name in Hugging Face files. Tensors of
    /// one name are experts of one tensor.
    #[must_use]
    pub fn gguf_name(&self, huggingface: &str) -> Option<String> {
        self.part(huggingface).map(|part| part.gguf)
    }

    /// The tensor that the one of this name in Hugging Face files is, or is a part of.
    pub(super) fn part(&self, huggingface: &str) -> Option<Part> {
        self.parts(huggingface).next()
    }

    /// The tensors that the one of this name in Hugging Face files is, or that it and others make: several when files
    /// keep together what is apart here.
    pub(super) fn parts(&self, huggingface: &str) -> impl Iterator<Item = Part> {
        let part = move |tensor: &TensorName| {
            let numbers = matched(tensor.huggingface, huggingface)?;
            Some(Part {
                gguf: filled(tensor.gguf, &numbers),
                expert: numbers.get(1).map(|expert| expert.parse().unwrap_or(usize::MAX)),
                transform: tensor.transform,
            })
        };
        self.tensors().filter_map(part)
    }

    /// The tensor's name in Hugging Face files, that of the first expert when each has one, or `None` when the family
    /// has no tensor of that name in GGUF.
    #[must_use]
    pub fn huggingface_name(&self, gguf: &str) -> Option<String> {
        let name = |tensor: &TensorName| {
            let mut numbers = matched(tensor.gguf, gguf)?;
            numbers.push("0");
            Some(filled(tensor.huggingface, &numbers))
        };
        self.tensors().find_map(name)
    }

    /// What is done to the tensor of this GGUF name.
    pub(super) fn transform(&self, gguf: &str) -> Transform {
        let mut tensors = self.tensors();
        tensors
            .find(|tensor| matched(tensor.gguf, gguf).is_some())
            .map_or(Transform::AsIs, |tensor| tensor.transform)
    }

    fn tensors(&self) -> impl Iterator<Item = &'static TensorName> {
        self.tensors.into_iter().flatten().copied().flatten()
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
        let mut settings = Settings::from_huggingface(&own_config(config), hints)?;
        self.declare(&mut settings)?;
        let architecture = ("general.architecture".to_owned(), Setting::Text(self.gguf));
        let hyperparameters = settings
            .into_read()
            .into_iter()
            .map(|(key, value)| (format!("{}.{key}", self.gguf), value));
        Ok(std::iter::once(architecture).chain(hyperparameters).collect())
    }
}

/// A hyperparameter as GGUF stores it.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// GGUF's `UINT32`.
    Integer(u32),
    /// GGUF's `FLOAT32`.
    Number(f32),
    /// GGUF's `STRING`.
    Text(&'static str),
    /// GGUF's `BOOL`.
    Flag(bool),
    /// GGUF's array of `BOOL`, one a layer.
    Flags(Vec<bool>),
    /// GGUF's array of `UINT32`.
    Integers(Vec<u32>),
}

/// One tensor's two names. `{}` stands for the layer's number and occurs in both or in none; a second one, in the Hugging
/// Face name alone, for an expert's: GGUF has all experts of a layer in one tensor.
#[derive(Debug)]
pub(super) struct TensorName {
    gguf: &'static str,
    huggingface: &'static str,
    transform: Transform,
}

impl TensorName {
    pub(super) const fn new(gguf: &'static str, huggingface: &'static str) -> Self {
        Self {
            gguf,
            huggingface,
            transform: Transform::AsIs,
        }
    }

    /// The same with its numbers changed on the way.
    pub(super) const fn with(self, transform: Transform) -> Self {
        Self { transform, ..self }
    }
}

/// What a tensor of Hugging Face files is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The whole tensor's name in GGUF.
    pub(super) gguf: String,
    /// Which expert of it; none when it is the whole.
    pub(super) expert: Option<usize>,
    /// What is done to it.
    pub(super) transform: Transform,
}

/// What stands for each `{}` when `name` has the pattern.
fn matched<'a>(pattern: &str, name: &'a str) -> Option<Vec<&'a str>> {
    let (mut pattern, mut rest) = (pattern, name);
    let mut numbers = Vec::new();
    // Asked for every tensor and every pattern: a character is found faster than a text.
    while let Some(place) = pattern.find('{') {
        rest = rest.strip_prefix(&pattern[..place])?;
        pattern = pattern[place..].strip_prefix("{}")?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        if !is_layer_number(number) {
            return None;
        }
        numbers.push(number);
        rest = after;
    }
    (rest == pattern).then_some(numbers)
}

/// The pattern with its `{}` replaced in order.
fn filled(pattern: &str, numbers: &[&str]) -> String {
    let mut name = pattern.to_owned();
    for number in numbers {
        name = name.replacen("{}", number, 1);
    }
    name
}

/// Digits without leading zeros: then each name has one counterpart.
fn is_layer_number(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_plain && text.parse::<u32>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::models;

    proptest! {
        #[test]
        fn names_are_a_bijection(name in "(model\\.|blk\\.|token_embd|lm_head)?[a-z_.0-9]{0,30}", layer in 0u32..100_000) {
            for family in models::families() {
                for gguf in family.parts(&name).filter(|part| part.expert.is_none()).map(|part| part.gguf) {
                    prop_assert_eq!(family.huggingface_name(&gguf), Some(name.clone()));
                }
                for tensor in family.tensors() {
                    let experts = tensor.huggingface.matches("{}").count() - tensor.gguf.matches("{}").count();
                    let gguf = tensor.gguf.replace("{}", &layer.to_string());
                    let huggingface = tensor.huggingface.replacen("{}", &layer.to_string(), 1).replace("{}", "0");
                    prop_assert!(experts <= 1);
                    prop_assert!(family.parts(&huggingface).any(|part| part.gguf == gguf));
                    prop_assert_eq!(family.huggingface_name(&gguf), Some(huggingface));
                }
            }
        }
    }

    #[test]
    fn experts_are_parts_of_one_tensor() {
        for family in models::families() {
            let name = "model.layers.2.mlp.experts.13.up_proj.weight";
            if let Some(part) = family.part(name) {
                assert_eq!(
                    (&part.gguf[..], part.expert),
                    ("blk.2.ffn_up_exps.weight", Some(13))
                );
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
            "blk.1.attn_sinks.weight",
        ] {
            assert!(!family.has_tensor(name), "{name}");
        }
    }
}
