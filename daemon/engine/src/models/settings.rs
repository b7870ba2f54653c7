//! A model's hyperparameters, read from `config.json` or from GGUF metadata through the same calls.
//!
//! Every setting that is read is remembered: what is left unread at the end is refused by name, and what was read can
//! be written as GGUF metadata.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::ModelError;
use super::family::Setting;
use super::keys::{self, Key};

/// Layers at the most. The largest published models have under 200; a file that says more is broken or hostile.
const MAX_LAYERS: usize = 1024;

/// The largest size of anything else: vocabularies have under 2^19 entries, contexts under 2^24 positions.
const MAX_SIZE: u64 = 1 << 24;

/// Settings of `config.json` that do not change what is computed, in any family, or that are read elsewhere.
const IGNORED: &[&str] = &[
    "_attn_implementation_autoset",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "dtype",
    "eos_token_id",
    "initializer_range",
    "model_type",
    "pad_token_id",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

/// Hyperparameters of GGUF that do not change what is computed, or that follow from tensors' shapes.
const IGNORED_IN_GGUF: &[&str] = &["vocab_size"];

/// What tensors say about a model beside its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorHints {
    /// Rows of the embedding: GGUF has no other word on the vocabulary's size.
    pub embedding_rows: usize,
    /// Whether there is a matrix for the logits apart from the embedding.
    pub has_output: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    HuggingFace,
    Gguf,
}

/// The settings of one model.
#[derive(Debug)]
pub(super) struct Settings {
    origin: Origin,
    values: Map<String, Value>,
    hints: TensorHints,
    used: BTreeSet<String>,
    read: Vec<(&'static str, Setting)>,
}

impl Settings {
    /// Settings of a `config.json`.
    pub(super) fn from_huggingface(config: &Value, hints: TensorHints) -> Result<Self, ModelError> {
        let Value::Object(values) = config else {
            return Err(ModelError::setting("config.json", config, "it must be an object"));
        };
        Ok(Self::new(Origin::HuggingFace, values.clone(), hints))
    }

    /// Settings of GGUF metadata: the entries behind the architecture's name and a dot.
    pub(super) fn from_gguf(values: Map<String, Value>, hints: TensorHints) -> Self {
        Self::new(Origin::Gguf, values, hints)
    }

    fn new(origin: Origin, values: Map<String, Value>, hints: TensorHints) -> Self {
        Self {
            origin,
            values,
            hints,
            used: BTreeSet::new(),
            read: Vec::new(),
        }
    }

    /// A size that must be there, at least 1.
    pub(super) fn integer(&mut self, key: Key) -> Result<usize, ModelError> {
        match self.take_key(key) {
            Some((name, value)) => self.record_integer(key, &name, &value),
            None => Err(self.missing(key)),
        }
    }

    /// A size that follows from others when it is not there.
    pub(super) fn integer_or(&mut self, key: Key, default: usize) -> Result<usize, ModelError> {
        match self.take_key(key) {
            Some((name, value)) => self.record_integer(key, &name, &value),
            None => self.record_integer(key, key.gguf, &Value::from(default)),
        }
    }

    /// The number of layers.
    pub(super) fn layers(&mut self) -> Result<usize, ModelError> {
        let layers = self.integer(keys::LAYERS)?;
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
    pub(super) fn number(&mut self, key: Key) -> Result<f32, ModelError> {
        let (name, value) = self.take_key(key).ok_or_else(|| self.missing(key))?;
        self.record_number(key, &name, &value)
    }

    /// The base of rotary frequencies that are not scaled for longer contexts. Any scaling is refused.
    pub(super) fn unscaled_rope_base(&mut self) -> Result<f32, ModelError> {
        if self.origin == Origin::Gguf {
            if let Some(value) = self.take("rope.scaling.type").filter(|value| *value != "none") {
                return Err(ModelError::setting("rope.scaling.type", &value, "only none"));
            }
            return self.number(keys::ROPE_BASE);
        }
        // `rope_scaling` and a base at the top level are what files from before `rope_parameters` have.
        for name in ["rope_parameters", "rope_scaling"] {
            match self.take(name) {
                None | Some(Value::Null) => {}
                Some(Value::Object(parameters)) => {
                    if let Some(base) = check_rope_parameters(name, &parameters)? {
                        return self.record_number(keys::ROPE_BASE, "rope_theta", &base);
                    }
                }
                Some(other) => return Err(ModelError::setting(name, &other, "it must be an object")),
            }
        }
        self.number(keys::ROPE_BASE)
    }

    /// Tokens in the vocabulary.
    pub(super) fn vocabulary(&mut self) -> Result<usize, ModelError> {
        match (self.origin, self.take("vocab_size")) {
            (Origin::HuggingFace, Some(value)) => size("vocab_size", &value),
            (Origin::HuggingFace, None) => Err(ModelError::MissingSetting {
                name: "vocab_size".to_owned(),
            }),
            (Origin::Gguf, _) => size("token_embd.weight's rows", &self.hints.embedding_rows.into()),
        }
    }

    /// Whether the embedding also makes the logits. GGUF says so by having no matrix for them.
    pub(super) fn tied(&mut self) -> Result<bool, ModelError> {
        let untied = Value::Bool(false);
        match (self.origin, self.take("tie_word_embeddings").unwrap_or(untied)) {
            (Origin::HuggingFace, Value::Bool(tied)) => Ok(tied),
            (Origin::HuggingFace, other) => Err(ModelError::setting(
                "tie_word_embeddings",
                &other,
                "true or false",
            )),
            (Origin::Gguf, _) => Ok(!self.hints.has_output),
        }
    }

    /// Refuses any value of `name` but `only`. Absent is as good as `only`; GGUF has no such settings.
    pub(super) fn expect(&mut self, name: &str, only: &Value) -> Result<(), ModelError> {
        match self.take_huggingface(name) {
            Some(value) if value != *only => Err(ModelError::setting(name, &value, format!("only {only}"))),
            _ => Ok(()),
        }
    }

    /// Refuses any value of the GGUF hyperparameter `name` but `only`. Absent is as good as `only`.
    pub(super) fn expect_in_gguf(&mut self, name: &str, only: &Value) -> Result<(), ModelError> {
        if self.origin != Origin::Gguf {
            return Ok(());
        }
        match self.take(name) {
            Some(value) if value != *only => Err(ModelError::setting(name, &value, format!("only {only}"))),
            _ => Ok(()),
        }
    }

    /// Refuses a list called `name` with any entry but `only`.
    pub(super) fn expect_each(&mut self, name: &str, only: &Value) -> Result<(), ModelError> {
        let Some(value) = self.take_huggingface(name) else {
            return Ok(());
        };
        let all = value
            .as_array()
            .is_some_and(|entries| entries.iter().all(|entry| entry == only));
        if all || value.is_null() {
            Ok(())
        } else {
            Err(ModelError::setting(name, &value, format!("only {only}")))
        }
    }

    /// Refuses the first setting that nothing has read, unless it is known to change nothing.
    pub(super) fn refuse_unread(&self, ignored: &[&str]) -> Result<(), ModelError> {
        let known = match self.origin {
            Origin::HuggingFace => [IGNORED, ignored].concat(),
            Origin::Gguf => IGNORED_IN_GGUF.to_vec(),
        };
        let unread = self
            .values
            .iter()
            .find(|(name, _)| !self.used.contains(*name) && !known.contains(&name.as_str()));
        match unread {
            Some((name, value)) => Err(ModelError::setting(
                name,
                value,
                "the family does not know this setting",
            )),
            None => Ok(()),
        }
    }

    /// What was read, under GGUF keys without the architecture's name, in the order of reading.
    pub(super) fn into_read(self) -> Vec<(&'static str, Setting)> {
        self.read
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let value = self.values.get(name).cloned();
        if value.is_some() {
            self.used.insert(name.to_owned());
        }
        value
    }

    fn take_huggingface(&mut self, name: &str) -> Option<Value> {
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

    fn record_integer(&mut self, key: Key, name: &str, value: &Value) -> Result<usize, ModelError> {
        let integer = size(name, value)?;
        let stored = u32::try_from(integer).expect("MAX_SIZE is below 2^32");
        self.read.push((key.gguf, Setting::Integer(stored)));
        Ok(integer)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "GGUF and the operations take float32"
    )]
    fn record_number(&mut self, key: Key, name: &str, value: &Value) -> Result<f32, ModelError> {
        let number = value.as_f64().map(|number| number as f32);
        match number.filter(|number| number.is_finite() && *number > 0.0) {
            Some(number) => {
                self.read.push((key.gguf, Setting::Number(number)));
                Ok(number)
            }
            None => Err(ModelError::setting(name, value, "a number above 0")),
        }
    }
}

/// The base that unscaled rope parameters give, if they do.
fn check_rope_parameters(name: &str, parameters: &Map<String, Value>) -> Result<Option<Value>, ModelError> {
    for (key, value) in parameters {
        let honoured = match key.as_str() {
            "rope_type" | "type" => value == "default",
            "rope_theta" => true,
            _ => false,
        };
        if !honoured {
            return Err(ModelError::setting(
                &format!("{name}.{key}"),
                value,
                "only rope_type \"default\" with its rope_theta",
            ));
        }
    }
    Ok(parameters.get("rope_theta").cloned())
}

fn size(name: &str, value: &Value) -> Result<usize, ModelError> {
    value
        .as_u64()
        .filter(|size| (1..=MAX_SIZE).contains(size))
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| ModelError::setting(name, value, format!("a whole number from 1 to {MAX_SIZE}")))
}
