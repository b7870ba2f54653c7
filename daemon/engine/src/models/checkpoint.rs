//! A model's files, GGUF or Hugging Face, asked through the same calls.

use std::borrow::Cow;
use std::path::Path;

use mains_blocks::dequantize;
use mains_contract::WeightData;
use mains_formats::{Array, Gguf, HuggingFace, Tensor, Value};
use serde_json::{Map, Value as Json};

use super::defaults::{self, Defaults};
use super::family::Part;
use super::settings::{RopeFactors, Settings, TensorHints};
use super::text_part::{TextPart, own_config};
use super::{Family, ModelError};

/// GGUF's tensor of what the frequencies of the rotation are divided by: a setting rather than a weight.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// The same where texts may have more positions than the original context.
pub(super) const LONG_ROPE_FACTORS: &str = "rope_factors_long.weight";

/// The same where they may not.
pub(super) const SHORT_ROPE_FACTORS: &str = "rope_factors_short.weight";

/// All of them.
pub(super) const ALL_ROPE_FACTORS: [&str; 3] = [ROPE_FACTORS, LONG_ROPE_FACTORS, SHORT_ROPE_FACTORS];

/// Open files of one model.
#[derive(Debug)]
pub enum Checkpoint {
    /// One GGUF file.
    Gguf(Gguf),
    /// A Hugging Face folder.
    HuggingFace(Box<HuggingFace>),
}

impl Checkpoint {
    /// Opens a folder as Hugging Face's, anything else as GGUF.
    ///
    /// # Errors
    /// [`ModelError::Files`] with the path and what is wrong.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        if path.is_dir() {
            Ok(Self::HuggingFace(Box::new(HuggingFace::open(path)?)))
        } else {
            Ok(Self::Gguf(Gguf::open(path)?))
        }
    }

    /// What the files call the model's architecture.
    ///
    /// # Errors
    /// [`ModelError`] when they do not say.
    pub fn family_name(&self) -> Result<&str, ModelError> {
        match self {
            Self::Gguf(gguf) => Ok(gguf.metadata().require("general.architecture")?),
            Self::HuggingFace(folder) => {
                let own = folder.config.get("text_config");
                let own = own.filter(|_| matches!(own_config(&folder.config), Cow::Owned(_)));
                let name = own
                    .unwrap_or(&folder.config)
                    .get("model_type")
                    .and_then(Json::as_str);
                name.ok_or_else(|| ModelError::MissingSetting {
                    name: "model_type".to_owned(),
                })
            }
        }
    }

    /// The family of the model.
    ///
    /// # Errors
    /// [`ModelError::UnknownFamily`] when it is none of ours.
    pub fn family(&self) -> Result<&'static Family, ModelError> {
        let name = self.family_name()?;
        match self {
            Self::Gguf(gguf) => {
                let has_key = |key: &str| gguf.metadata().get(&format!("{name}.{key}")).is_some();
                super::find_gguf(name, has_key)
            }
            Self::HuggingFace(_) => super::find(name),
        }
    }

    /// Whether the files are GGUF.
    pub(super) const fn is_gguf(&self) -> bool {
        matches!(self, Self::Gguf(_))
    }

    /// Source of the chat template.
    #[must_use]
    pub fn chat_template(&self) -> Option<&str> {
        match self {
            Self::Gguf(gguf) => match gguf.metadata().get("tokenizer.chat_template") {
                Some(Value::String(template)) => Some(template),
                _ => None,
            },
            Self::HuggingFace(folder) => folder.chat_template.as_deref(),
        }
    }

    /// Names of all tensors of weights, as the files have them.
    pub(super) fn tensor_names(&self) -> Vec<String> {
        let name = |tensor: Tensor<'_>| tensor.name.to_owned();
        let text = self.text_part();
        let is_weight = |tensor: &Tensor<'_>| {
            !ALL_ROPE_FACTORS.contains(&tensor.name) && text.name(tensor.name).is_some()
        };
        match self {
            Self::Gguf(gguf) => gguf.tensors().filter(is_weight).map(name).collect(),
            Self::HuggingFace(folder) => folder.tensors().filter(is_weight).map(name).collect(),
        }
    }

    /// The tensor called `name` in the files.
    pub(super) fn tensor(&self, name: &str) -> Result<WeightData<'_>, ModelError> {
        let tensor = match self {
            Self::Gguf(gguf) => gguf.tensor(name)?,
            Self::HuggingFace(folder) => folder.tensor(name)?,
        };
        Ok(WeightData {
            format: tensor.format,
            rows: tensor.rows,
            cols: tensor.cols,
            bytes: tensor.bytes,
        })
    }

    /// Gives the memory of bytes of a mapped tensor back to the system until they are next read.
    pub(super) fn release(&self, bytes: &[u8]) {
        match self {
            Self::Gguf(gguf) => gguf.release(bytes),
            Self::HuggingFace(folder) => folder.release(bytes),
        }
    }

    /// Rows of each of the matrices that the tensor called `name` is a stack of.
    pub(super) fn matrix_rows(&self, name: &str) -> Result<usize, ModelError> {
        let tensor = match self {
            Self::Gguf(gguf) => gguf.tensor(name)?,
            Self::HuggingFace(folder) => folder.tensor(name)?,
        };
        Ok(tensor.dims.iter().rev().nth(1).copied().unwrap_or(1).max(1))
    }

    /// What the tensor is that the files call `name`; none when `family` has no such tensor.
    pub(super) fn parts(&self, family: &Family, name: &str) -> Vec<Part> {
        self.parts_in(&self.text_part(), family, name)
    }

    /// The same of every tensor of weights, in the order of the files.
    pub(super) fn all_parts(&self, family: &Family) -> Vec<(String, Vec<Part>)> {
        let text = self.text_part();
        let names = self.tensor_names().into_iter();
        names
            .map(|name| {
                let parts = self.parts_in(&text, family, &name);
                (name, parts)
            })
            .collect()
    }

    fn parts_in(&self, text: &TextPart, family: &Family, name: &str) -> Vec<Part> {
        match self {
            Self::Gguf(_) if family.has_tensor(name) => vec![Part {
                gguf: name.to_owned(),
                expert: None,
                transform: family.transform(name),
            }],
            Self::Gguf(_) => Vec::new(),
            Self::HuggingFace(_) => match text.name(name) {
                Some(name) => family.parts(&name).collect(),
                None => Vec::new(),
            },
        }
    }

    fn text_part(&self) -> TextPart {
        match self {
            Self::Gguf(gguf) => TextPart::of_gguf(&hyperparameters(gguf, self.family_name().unwrap_or(""))),
            Self::HuggingFace(folder) => TextPart::of_folder(&folder.config),
        }
    }

    /// The hyperparameters, for `family` to read.
    pub(super) fn settings(&self, family: &Family) -> Result<Settings, ModelError> {
        let hints = self.hints(family);
        match self {
            Self::Gguf(gguf) => Ok(Settings::from_gguf(hyperparameters(gguf, family.gguf), hints)),
            Self::HuggingFace(folder) => Settings::from_huggingface(&own_config(&folder.config), hints),
        }
    }

    /// What tensors say beside the settings.
    #[must_use]
    pub fn hints(&self, family: &Family) -> TensorHints {
        let tensors = self.all_parts(family);
        let rows = |gguf: &str| {
            let mut tensors = tensors.iter();
            let (name, _) = tensors.find(|(_, parts)| parts.iter().any(|part| part.gguf == gguf))?;
            self.tensor(name).ok().map(|tensor| tensor.rows)
        };
        TensorHints {
            embedding_rows: rows("token_embd.weight").unwrap_or(0),
            token_types: rows("token_types.weight"),
            names: tensors
                .into_iter()
                .flat_map(|(_, parts)| parts)
                .map(|part| part.gguf)
                .collect(),
            rope_factors: self.rope_factors(),
        }
    }

    /// GGUF's factors of a rotation's frequencies.
    fn rope_factors(&self) -> RopeFactors {
        let Self::Gguf(gguf) = self else {
            return RopeFactors::new();
        };
        let factors = |name: &&'static str| {
            let tensor = gguf.find(name)?;
            let mut factors = vec![0.0; tensor.rows * tensor.cols];
            dequantize(tensor.format, tensor.bytes, &mut factors).ok()?;
            Some((*name, factors))
        };
        ALL_ROPE_FACTORS.iter().filter_map(factors).collect()
    }

    /// Default sampling and special tokens.
    pub(super) fn defaults(&self) -> Result<Defaults, ModelError> {
        match self {
            Self::Gguf(gguf) => defaults::from_gguf(&json_of(gguf)),
            Self::HuggingFace(folder) => {
                defaults::from_huggingface(&own_config(&folder.config), folder.generation_config.as_ref())
            }
        }
    }
}

/// Metadata behind the architecture's name and a dot.
fn hyperparameters(gguf: &Gguf, architecture: &str) -> Map<String, Json> {
    let own = |(key, value): (&str, &Value)| {
        let key = key.strip_prefix(architecture)?.strip_prefix('.')?;
        Some((key.to_owned(), json(value)))
    };
    gguf.metadata().iter().filter_map(own).collect()
}

/// Metadata as JSON. The tokenizer's long arrays are not for settings: only their lengths are told.
fn json_of(gguf: &Gguf) -> Map<String, Json> {
    gguf.metadata()
        .iter()
        .map(|(key, value)| (key.to_owned(), json(value)))
        .collect()
}

fn json(value: &Value) -> Json {
    /// Bytes of a text that may be a setting; chat templates are read elsewhere.
    const MAX_SETTING_BYTES: usize = 4096;

    match value {
        Value::U8(value) => (*value).into(),
        Value::I8(value) => (*value).into(),
        Value::U16(value) => (*value).into(),
        Value::I16(value) => (*value).into(),
        Value::U32(value) => (*value).into(),
        Value::I32(value) => (*value).into(),
        Value::U64(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::F32(value) => (*value).into(),
        Value::F64(value) => (*value).into(),
        Value::Bool(value) => (*value).into(),
        // A whole tokenizer.json is no setting either.
        Value::String(value) if value.len() > MAX_SETTING_BYTES => {
            format!("a text of {} bytes", value.len()).into()
        }
        Value::String(value) => value.as_str().into(),
        Value::Array(array) => json_array(array),
    }
}

fn json_array(array: &Array) -> Json {
    /// Values of an array that may be a setting: one a layer, or a few ids.
    const MAX_SETTING_LEN: usize = 4096;
    if array.len() > MAX_SETTING_LEN {
        return format!("{} of {} values", array.type_name(), array.len()).into();
    }
    match array {
        Array::U8(values) => values.clone().into(),
        Array::I8(values) => values.clone().into(),
        Array::U16(values) => values.clone().into(),
        Array::I16(values) => values.clone().into(),
        Array::U32(values) => values.clone().into(),
        Array::I32(values) => values.clone().into(),
        Array::U64(values) => values.clone().into(),
        Array::I64(values) => values.clone().into(),
        Array::F32(values) => values.clone().into(),
        Array::F64(values) => values.clone().into(),
        Array::Bool(values) => values.clone().into(),
        Array::String(values) => values.clone().into(),
    }
}
