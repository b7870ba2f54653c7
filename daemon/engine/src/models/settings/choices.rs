//! Settings that are true or false, or that must have one value; and what is refused.

use serde_json::Value;

use super::{Origin, Settings, size};
use crate::models::ModelError;
use crate::models::keys::Key;
use crate::models::weights::refuse;

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

impl Settings {
    /// Whether files have this size, and not as 0.
    pub(in crate::models) fn has_positive(&self, key: Key) -> bool {
        let size = self.peek(self.name_of(key));
        size.as_ref().and_then(Value::as_u64).is_some_and(|size| size > 0)
    }

    /// Refuses files without this setting.
    pub(in crate::models) fn require(&self, key: Key) -> Result<(), ModelError> {
        if self.has(key) {
            Ok(())
        } else {
            Err(self.missing(key))
        }
    }

    /// Refuses a setting of `config.json` that is on.
    pub(in crate::models) fn refuse_flag(&mut self, name: &str) -> Result<(), ModelError> {
        match self.take_huggingface(name) {
            None | Some(Value::Null | Value::Bool(false)) => Ok(()),
            Some(other) => Err(ModelError::setting(name, &other, "only false")),
        }
    }

    /// Whether the model has a part: in `config.json` the setting `name` says so, `default` when it does not; in GGUF
    /// the tensor `tensor`, whose `{}` stands for any layer.
    pub(in crate::models) fn has_part(
        &mut self,
        name: &str,
        default: bool,
        tensor: &str,
    ) -> Result<bool, ModelError> {
        if self.origin == Origin::Gguf {
            return Ok(self.has_tensor(tensor));
        }
        self.flag(name, default)
    }

    /// Whether a tensor of this GGUF name is there, whose `{}` stands for any layer.
    pub(in crate::models) fn has_tensor(&self, tensor: &str) -> bool {
        let (start, end) = tensor.split_once("{}").unwrap_or((tensor, ""));
        let mut names = self.hints.names.iter();
        names.any(|name| name.starts_with(start) && name.ends_with(end))
    }

    /// A setting of `config.json` that is true or false.
    pub(in crate::models) fn flag(&mut self, name: &str, default: bool) -> Result<bool, ModelError> {
        match self.take_huggingface(name) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(ModelError::setting(name, &other, "true or false")),
        }
    }

    /// Refuses any value of `name` but `only`. Absent is as good as `only`; GGUF has no such settings.
    pub(in crate::models) fn expect(&mut self, name: &str, only: &Value) -> Result<(), ModelError> {
        match self.take_huggingface(name) {
            Some(value) if value != *only => Err(ModelError::setting(name, &value, format!("only {only}"))),
            _ => Ok(()),
        }
    }

    /// Refuses any value of the GGUF hyperparameter `name` but `only`. Absent is as good as `only`.
    pub(in crate::models) fn expect_in_gguf(&mut self, name: &str, only: &Value) -> Result<(), ModelError> {
        if self.origin != Origin::Gguf {
            return Ok(());
        }
        match self.take(name) {
            Some(value) if value != *only => Err(ModelError::setting(name, &value, format!("only {only}"))),
            _ => Ok(()),
        }
    }

    /// Refuses the first setting that nothing has read, unless it is known to change nothing.
    pub(in crate::models) fn refuse_unread(&self, ignored: &[&str]) -> Result<(), ModelError> {
        let known = match self.origin {
            Origin::HuggingFace => [IGNORED, TOLD_BY_TENSORS, ignored].concat(),
            Origin::Gguf => IGNORED_IN_GGUF.to_vec(),
        };
        // What is null asks for nothing.
        let mut values = self.values.iter().filter(|(_, value)| !value.is_null());
        let unread = values.find(|(name, _)| !self.used.contains(*name) && !known.contains(&name.as_str()));
        if let Some(name) = self.hints.rope_factors.keys().next() {
            return Err(refuse(name, "the family has no use for it"));
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

    /// A choice by its names in GGUF and `config.json`, remembered for GGUF.
    pub(in crate::models) fn recorded_flag(
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

    /// Rows of the table of token types; none when there is no table.
    pub(in crate::models) fn token_types(&mut self) -> Result<Option<usize>, ModelError> {
        match self.take_huggingface("type_vocab_size") {
            Some(value) => size("type_vocab_size", &value).map(Some),
            None => Ok(self.hints.token_types),
        }
    }

    /// Tokens in the vocabulary.
    pub(in crate::models) fn vocabulary(&mut self) -> Result<usize, ModelError> {
        match (self.origin, self.take("vocab_size")) {
            (Origin::HuggingFace, Some(value)) => size("vocab_size", &value),
            (Origin::HuggingFace, None) => Err(ModelError::MissingSetting {
                name: "vocab_size".to_owned(),
            }),
            (Origin::Gguf, _) => size("token_embd.weight's rows", &self.hints.embedding_rows.into()),
        }
    }

    /// Whether the embedding also makes the logits. GGUF says so by having no matrix for them.
    pub(in crate::models) fn tied(&mut self) -> Result<bool, ModelError> {
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

    /// Takes `value` for a setting that `config.json` leaves out.
    pub(in crate::models) fn suppose(&mut self, name: &str, value: Value) {
        if self.origin == Origin::HuggingFace && !self.values.contains_key(name) {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// Takes `value` for a setting that a GGUF file leaves out.
    pub(in crate::models) fn suppose_in_gguf(&mut self, name: &str, value: Value) {
        if self.origin == Origin::Gguf && !self.values.contains_key(name) {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// Leaves a setting out, as if files did not have it.
    pub(in crate::models) fn discard(&mut self, key: Key) {
        self.values.remove(self.name_of(key));
    }
}
