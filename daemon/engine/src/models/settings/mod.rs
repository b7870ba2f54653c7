//! A model's hyperparameters, read from `config.json` or from GGUF metadata through the same calls.
//!
//! Every setting that is read is remembered: what is left unread at the end is refused by name, and what was read can
//! be written as GGUF metadata.

mod choices;
mod recorded;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::ModelError;
use super::family::Setting;
use super::keys::{self, Key};

/// Layers at the most. The largest published models have under 200; a file that says more is broken or hostile.
const MAX_LAYERS: usize = 1024;

/// The largest size of anything else: vocabularies have under 2^19 entries, contexts under 2^24 positions.
const MAX_SIZE: u64 = 1 << 24;

/// What tensors say about a model beside its settings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TensorHints {
    /// Rows of the embedding: GGUF has no other word on the vocabulary's size.
    pub embedding_rows: usize,
    /// Rows of the table of token types, when there is one.
    pub token_types: Option<usize>,
    /// Names of all tensors in GGUF: which biases there are, and whether there is a matrix for the logits.
    pub names: BTreeSet<String>,
    /// What each frequency of the rotation is divided by.
    pub rope_factors: RopeFactors,
}

/// What the frequencies of the rotation are divided by, one number a pair, under the names of GGUF's tensors for it.
pub type RopeFactors = BTreeMap<&'static str, Vec<f32>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    HuggingFace,
    Gguf,
}

/// The settings of one model.
#[derive(Debug)]
pub(in crate::models) struct Settings {
    origin: Origin,
    values: Map<String, Value>,
    hints: TensorHints,
    used: BTreeSet<String>,
    read: Vec<(&'static str, Setting)>,
    rope_factors: RopeFactors,
    positions: Option<usize>,
}

impl Settings {
    /// Settings of a `config.json`.
    pub(in crate::models) fn from_huggingface(
        config: &Value,
        hints: TensorHints,
    ) -> Result<Self, ModelError> {
        let Value::Object(values) = config else {
            return Err(ModelError::setting("config.json", config, "it must be an object"));
        };
        Ok(Self::new(Origin::HuggingFace, values.clone(), hints))
    }

    /// Settings of GGUF metadata: the entries behind the architecture's name and a dot.
    pub(in crate::models) fn from_gguf(values: Map<String, Value>, hints: TensorHints) -> Self {
        Self::new(Origin::Gguf, values, hints)
    }

    fn new(origin: Origin, values: Map<String, Value>, hints: TensorHints) -> Self {
        Self {
            origin,
            values,
            hints,
            used: BTreeSet::new(),
            read: Vec::new(),
            rope_factors: RopeFactors::new(),
            positions: None,
        }
    }

    /// A size that must be there, at least 1.
    pub(in crate::models) fn integer(&mut self, key: Key) -> Result<usize, ModelError> {
        match self.take_key(key) {
            Some((name, value)) => self.record_integer(key, &name, &value),
            None => Err(self.missing(key)),
        }
    }

    /// A size that follows from others when it is not there.
    pub(in crate::models) fn integer_or(&mut self, key: Key, default: usize) -> Result<usize, ModelError> {
        match self.take_key(key) {
            Some((name, value)) => self.record_integer(key, &name, &value),
            None => self.record_integer(key, key.gguf, &Value::from(default)),
        }
    }

    /// A size that may be 0, as it is when files do not say more.
    pub(in crate::models) fn count(&mut self, key: Key, default: usize) -> Result<usize, ModelError> {
        let count = match self.take_key(key) {
            Some((_, value)) if value == 0 => 0,
            Some((name, value)) => size(&name, &value)?,
            None if self.is_gguf() => 0,
            None => default,
        };
        if count > 0 {
            self.record_instead(key, count);
        }
        Ok(count)
    }

    /// The sizes of all layers, where a GGUF file lists them; the first then stands for itself.
    pub(in crate::models) fn listed(&mut self, key: Key) -> Result<Option<Vec<usize>>, ModelError> {
        let Some(Value::Array(listed)) = self.peek(key.gguf).filter(|_| self.is_gguf()) else {
            return Ok(None);
        };
        let sizes: Result<Vec<usize>, ModelError> =
            listed.iter().map(|value| size(key.gguf, value)).collect();
        let sizes = sizes?;
        if self.peek(keys::LAYERS.gguf) != Some(sizes.len().into()) {
            let reason = "a number for each layer";
            return Err(ModelError::setting(key.gguf, &Value::Array(listed), reason));
        }
        if let Some(first) = sizes.first() {
            self.values.insert(key.gguf.to_owned(), (*first).into());
        }
        Ok(Some(sizes))
    }

    /// The number of layers.
    pub(in crate::models) fn layers(&mut self) -> Result<usize, ModelError> {
        let mut layers = self.integer(keys::LAYERS)?;
        // GGUF counts layers that guess ahead too (see `text_part`).
        let guessing = self.take("nextn_predict_layers").filter(|_| self.is_gguf());
        let guessing = guessing.and_then(|layers| usize::try_from(layers.as_u64()?).ok());
        layers = layers.saturating_sub(guessing.unwrap_or(0)).max(1);
        if layers > MAX_LAYERS {
            let reason = format!("at most {MAX_LAYERS} layers");
            return Err(ModelError::setting(
                self.name_of(keys::LAYERS),
                &Value::from(layers),
                reason,
            ));
        }
        Ok(layers)
    }

    /// A positive number that must be there.
    pub(in crate::models) fn number(&mut self, key: Key) -> Result<f32, ModelError> {
        let (name, value) = self.take_key(key).ok_or_else(|| self.missing(key))?;
        self.record_number(key, &name, &value)
    }

    /// A positive number that changes nothing when it is `default`, as when it is not there.
    #[expect(clippy::float_cmp, reason = "only the default itself changes nothing")]
    pub(in crate::models) fn number_or(&mut self, key: Key, default: f32) -> Result<f32, ModelError> {
        let Some((name, value)) = self.take_key(key) else {
            return Ok(default);
        };
        let number = self.record_number(key, &name, &value)?;
        if number == default {
            self.read.pop();
        }
        Ok(number)
    }

    /// A size of `config.json` that may be 0.
    pub(in crate::models) fn count_or(&mut self, name: &str, default: usize) -> Result<usize, ModelError> {
        match self.take_huggingface(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) if value == 0 => Ok(0),
            Some(value) => size(name, &value),
        }
    }

    /// Whether files have this setting, and not as null.
    pub(in crate::models) fn has(&self, key: Key) -> bool {
        let value = self.values.get(self.name_of(key));
        value.is_some_and(|value| !value.is_null())
    }

    /// A positive number: `usual` when files do not say, none when they say null, or 0 in GGUF.
    pub(in crate::models) fn number_unless_null(
        &mut self,
        key: Key,
        usual: Option<f32>,
    ) -> Result<Option<f32>, ModelError> {
        let none = match self.origin {
            Origin::HuggingFace => Value::Null,
            Origin::Gguf => Value::from(0.0),
        };
        if self.take(self.name_of(key)) == Some(none) {
            if usual.is_some() {
                self.read.push((key.gguf, Setting::Number(0.0)));
            }
            return Ok(None);
        }
        match self.take_key(key) {
            Some((name, value)) => self.record_number(key, &name, &value).map(Some),
            None => Ok(usual),
        }
    }

    /// A size that says nothing when it is absent or null.
    pub(in crate::models) fn optional_integer(&mut self, key: Key) -> Result<Option<usize>, ModelError> {
        self.take_key(key)
            .map(|(name, value)| self.record_integer(key, &name, &value))
            .transpose()
    }

    /// Whether the settings are GGUF's.
    pub(in crate::models) fn is_gguf(&self) -> bool {
        self.origin == Origin::Gguf
    }

    /// Says how many positions texts may have.
    pub(in crate::models) fn limit_positions(&mut self, positions: Option<usize>) {
        self.positions = positions;
    }

    /// How many positions texts may have, where somebody said so.
    pub(in crate::models) const fn positions(&self) -> Option<usize> {
        self.positions
    }

    /// The value of `name`, which somebody else reads.
    pub(in crate::models) fn peek(&self, name: &str) -> Option<Value> {
        self.values.get(name).cloned()
    }

    /// The value of `name`, which counts as read.
    pub(in crate::models) fn take(&mut self, name: &str) -> Option<Value> {
        let value = self.values.get(name).cloned();
        if value.is_some() {
            self.used.insert(name.to_owned());
        }
        value
    }

    /// The value of `name` in a `config.json`.
    pub(in crate::models) fn take_huggingface(&mut self, name: &str) -> Option<Value> {
        if self.origin == Origin::HuggingFace {
            self.take(name)
        } else {
            None
        }
    }

    fn take_key(&mut self, key: Key) -> Option<(String, Value)> {
        let name = match self.origin {
            Origin::Gguf => key.gguf,
            Origin::HuggingFace => key.huggingface?,
        };
        let value = self.take(name).filter(|value| !value.is_null())?;
        Some((name.to_owned(), value))
    }

    fn name_of(&self, key: Key) -> &'static str {
        match self.origin {
            Origin::Gguf => key.gguf,
            Origin::HuggingFace => key.huggingface.unwrap_or(key.gguf),
        }
    }

    fn missing(&self, key: Key) -> ModelError {
        ModelError::MissingSetting {
            name: self.name_of(key).to_owned(),
        }
    }
}

fn size(name: &str, value: &Value) -> Result<usize, ModelError> {
    value
        .as_u64()
        .filter(|size| (1..=MAX_SIZE).contains(size))
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| ModelError::setting(name, value, format!("a whole number from 1 to {MAX_SIZE}")))
}
