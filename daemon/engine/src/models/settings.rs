//! A model's hyperparameters, read from `config.json` or from GGUF metadata through the same calls.
//!
//! Every setting that is read is remembered: what is left unread at the end is refused by name, and what was read can
//! be written as GGUF metadata.

use std::collections::{BTreeMap, BTreeSet};

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
    "output_router_logits",
    "pad_token_id",
    "pretraining_tp",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

/// Settings of `config.json` that say which tensors there are. Where a family has no such choice its published
/// implementation does not read them, and every tensor of the files is accounted for anyway.
const TOLD_BY_TENSORS: &[&str] = &["attention_bias", "mlp_bias"];

/// Hyperparameters of GGUF that do not change what is computed, or that follow from tensors' shapes.
const IGNORED_IN_GGUF: &[&str] = &["vocab_size"];

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
pub(super) struct Settings {
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
            rope_factors: RopeFactors::new(),
            positions: None,
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
    pub(super) fn number(&mut self, key: Key) -> Result<f32, ModelError> {
        let (name, value) = self.take_key(key).ok_or_else(|| self.missing(key))?;
        self.record_number(key, &name, &value)
    }

    /// A positive number that changes nothing when it is `default`, as when it is not there.
    #[expect(clippy::float_cmp, reason = "only the default itself changes nothing")]
    pub(super) fn number_or(&mut self, key: Key, default: f32) -> Result<f32, ModelError> {
        let Some((name, value)) = self.take_key(key) else {
            return Ok(default);
        };
        let number = self.record_number(key, &name, &value)?;
        if number == default {
            self.read.pop();
        }
        Ok(number)
    }

    /// Leaves a setting out, as if files did not have it.
    pub(super) fn discard(&mut self, key: Key) {
        self.values.remove(self.name_of(key));
    }

    /// Remembers `size` for GGUF under `key`, instead of what was remembered there.
    pub(super) fn record_instead(&mut self, key: Key, size: usize) {
        let size = Setting::Integer(u32::try_from(size).unwrap_or(u32::MAX));
        match self.read.iter_mut().find(|(known, _)| *known == key.gguf) {
            Some((_, known)) => *known = size,
            None => self.read.push((key.gguf, size)),
        }
    }

    /// Rows of the table of token types; none when there is no table.
    pub(super) fn token_types(&mut self) -> Result<Option<usize>, ModelError> {
        match self.take_huggingface("type_vocab_size") {
            Some(value) => size("type_vocab_size", &value).map(Some),
            None => Ok(self.hints.token_types),
        }
    }

    /// Takes `value` for a setting that `config.json` leaves out.
    pub(super) fn suppose(&mut self, name: &str, value: Value) {
        if self.origin == Origin::HuggingFace && !self.values.contains_key(name) {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// Takes `value` for a setting that a GGUF file leaves out.
    pub(super) fn suppose_in_gguf(&mut self, name: &str, value: Value) {
        if self.origin == Origin::Gguf && !self.values.contains_key(name) {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// A choice by its names in GGUF and `config.json`, remembered for GGUF.
    pub(super) fn recorded_flag(
        &mut self,
        (gguf, huggingface): (&'static str, &str),
        default: bool,
    ) -> Result<bool, ModelError> {
        let name = if self.is_gguf() { gguf } else { huggingface };
        let flag = match self.take(name) {
            None | Some(Value::Null) => default,
            Some(Value::Bool(flag)) => flag,
            Some(other) => return Err(ModelError::setting(name, &other, "true or false")),
        };
        self.record_flag(gguf, flag);
        Ok(flag)
    }

    /// A size of `config.json` that may be 0.
    pub(super) fn count_or(&mut self, name: &str, default: usize) -> Result<usize, ModelError> {
        match self.take_huggingface(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) if value == 0 => Ok(0),
            Some(value) => size(name, &value),
        }
    }

    /// Refuses GGUF files.
    pub(super) fn refuse_gguf(&self, architecture: &str) -> Result<(), ModelError> {
        match self.origin {
            Origin::HuggingFace => Ok(()),
            Origin::Gguf => Err(ModelError::setting(
                "general.architecture",
                &Value::from(architecture),
                "only its Hugging Face folders",
            )),
        }
    }

    /// Whether files have this setting, and not as null.
    pub(super) fn has(&self, key: Key) -> bool {
        let value = self.values.get(self.name_of(key));
        value.is_some_and(|value| !value.is_null())
    }

    /// Refuses files without this setting.
    pub(super) fn require(&self, key: Key) -> Result<(), ModelError> {
        if self.has(key) {
            Ok(())
        } else {
            Err(self.missing(key))
        }
    }

    /// Refuses a setting of `config.json` that is on.
    pub(super) fn refuse_flag(&mut self, name: &str) -> Result<(), ModelError> {
        match self.take_huggingface(name) {
            None | Some(Value::Null | Value::Bool(false)) => Ok(()),
            Some(other) => Err(ModelError::setting(name, &other, "only false")),
        }
    }

    /// A positive number: `usual` when files do not say, none when they say null, or 0 in GGUF.
    pub(super) fn number_unless_null(
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

    /// `number`, remembered for GGUF unless readers of that take the same without being told.
    #[expect(clippy::float_cmp, reason = "only the usual number itself need not be told")]
    pub(super) fn record_unless(&mut self, key: Key, usual: f32, number: f64) -> Result<f32, ModelError> {
        let number = self.record_number(key, key.gguf, &Value::from(number))?;
        if number == usual {
            self.read.pop();
        }
        Ok(number)
    }

    /// A size that says nothing when it is absent or null.
    pub(super) fn optional_integer(&mut self, key: Key) -> Result<Option<usize>, ModelError> {
        self.take_key(key)
            .map(|(name, value)| self.record_integer(key, &name, &value))
            .transpose()
    }

    /// Whether the model has a part: in `config.json` the setting `name` says so, `default` when it does not; in GGUF
    /// the tensor `tensor`, whose `{}` stands for any layer.
    pub(super) fn has_part(&mut self, name: &str, default: bool, tensor: &str) -> Result<bool, ModelError> {
        if self.origin == Origin::Gguf {
            return Ok(self.has_tensor(tensor));
        }
        self.flag(name, default)
    }

    /// Whether a tensor of this GGUF name is there, whose `{}` stands for any layer.
    pub(super) fn has_tensor(&self, tensor: &str) -> bool {
        let (start, end) = tensor.split_once("{}").unwrap_or((tensor, ""));
        let mut names = self.hints.names.iter();
        names.any(|name| name.starts_with(start) && name.ends_with(end))
    }

    /// A setting of `config.json` that is true or false.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool, ModelError> {
        match self.take_huggingface(name) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(ModelError::setting(name, &other, "true or false")),
        }
    }

    /// Whether the settings are GGUF's.
    pub(super) fn is_gguf(&self) -> bool {
        self.origin == Origin::Gguf
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
            (Origin::Gguf, _) => Ok(!self.hints.names.contains("output.weight")),
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

    /// Refuses the first setting that nothing has read, unless it is known to change nothing.
    pub(super) fn refuse_unread(&self, ignored: &[&str]) -> Result<(), ModelError> {
        let known = match self.origin {
            Origin::HuggingFace => [IGNORED, TOLD_BY_TENSORS, ignored].concat(),
            Origin::Gguf => IGNORED_IN_GGUF.to_vec(),
        };
        // What is null asks for nothing.
        let mut values = self.values.iter().filter(|(_, value)| !value.is_null());
        let unread = values.find(|(name, _)| !self.used.contains(*name) && !known.contains(&name.as_str()));
        if let Some(name) = self.hints.rope_factors.keys().next() {
            return Err(super::weights::refuse(name, "the family has no use for it"));
        }
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

    /// What the frequencies of the rotation are divided by: GGUF keeps it as tensors.
    pub(super) fn rope_factors(&self) -> RopeFactors {
        self.rope_factors.clone()
    }

    /// The factors that come as the tensor `name`, one a pair.
    pub(super) fn take_rope_factors(
        &mut self,
        name: &'static str,
        pairs: usize,
    ) -> Result<Option<Vec<f32>>, ModelError> {
        match self.hints.rope_factors.remove(name) {
            Some(factors) if factors.len() != pairs => Err(super::weights::refuse(
                name,
                format!(
                    "it has {} numbers, heads have {pairs} pairs that rotate",
                    factors.len()
                ),
            )),
            factors => Ok(factors),
        }
    }

    /// Whether there are factors in a tensor `name`.
    pub(super) fn has_rope_factors(&self, name: &str) -> bool {
        self.hints.rope_factors.contains_key(name)
    }

    /// Remembers the factors for GGUF.
    pub(super) fn record_rope_factors(&mut self, name: &'static str, factors: Vec<f32>) {
        self.rope_factors.insert(name, factors);
    }

    /// Says how many positions texts may have.
    pub(super) fn limit_positions(&mut self, positions: Option<usize>) {
        self.positions = positions;
    }

    /// How many positions texts may have, where somebody said so.
    pub(super) const fn positions(&self) -> Option<usize> {
        self.positions
    }

    /// Remembers a name for GGUF.
    pub(super) fn record_text(&mut self, key: &'static str, text: &'static str) {
        self.read.retain(|(known, _)| *known != key);
        self.read.push((key, Setting::Text(text)));
    }

    /// Remembers a choice for GGUF.
    pub(super) fn record_flag(&mut self, key: &'static str, flag: bool) {
        self.read.push((key, Setting::Flag(flag)));
    }

    /// Remembers a choice a layer for GGUF.
    pub(super) fn record_flags(&mut self, key: &'static str, flags: Vec<bool>) {
        self.read.push((key, Setting::Flags(flags)));
    }

    /// The value of `name`, which somebody else reads.
    pub(super) fn peek(&self, name: &str) -> Option<Value> {
        self.values.get(name).cloned()
    }

    /// The value of `name`, which counts as read.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let value = self.values.get(name).cloned();
        if value.is_some() {
            self.used.insert(name.to_owned());
        }
        value
    }

    /// The value of `name` in a `config.json`.
    pub(super) fn take_huggingface(&mut self, name: &str) -> Option<Value> {
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

    /// Remembers a size for GGUF.
    pub(super) fn record_integer(
        &mut self,
        key: Key,
        name: &str,
        value: &Value,
    ) -> Result<usize, ModelError> {
        let integer = size(name, value)?;
        let stored = u32::try_from(integer).expect("MAX_SIZE is below 2^32");
        self.read.push((key.gguf, Setting::Integer(stored)));
        Ok(integer)
    }

    /// Remembers a positive number for GGUF.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "GGUF and the operations take float32"
    )]
    pub(super) fn record_number(&mut self, key: Key, name: &str, value: &Value) -> Result<f32, ModelError> {
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

fn size(name: &str, value: &Value) -> Result<usize, ModelError> {
    value
        .as_u64()
        .filter(|size| (1..=MAX_SIZE).contains(size))
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| ModelError::setting(name, value, format!("a whole number from 1 to {MAX_SIZE}")))
}
