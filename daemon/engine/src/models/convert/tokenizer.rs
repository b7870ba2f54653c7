//! `tokenizer.json` under the keys `tokenizer.ggml.*` (ggml `docs/gguf.md`, section Tokenizer).
//!
//! What the keys have no words for travels beside them: the whole `tokenizer.json`, under the key that the format has for it.

use mains_formats::{Array, HuggingFace, Value};
use mains_text::{GgufTokenKind, GgufVocabulary, ModelIds};
use serde_json::Value as Json;

use super::ConvertError;
use crate::models::Model;
use crate::models::text_part::own_config;

/// The key of a whole `tokenizer.json` (ggml `docs/gguf.md`, section "Hugging Face").
const WHOLE_FILE: &str = "tokenizer.huggingface.json";

type Keys = Vec<(&'static str, Value)>;

/// The tokenizer, its special tokens and the chat template.
pub(super) fn metadata(
    folder: &HuggingFace,
    model: &Model,
    notes: &mut Vec<String>,
) -> Result<Vec<(String, Value)>, ConvertError> {
    let ids = ModelIds {
        rows: model.info.vocabulary as usize,
        bos: model.info.bos,
        eos: id(folder, "eos_token_id"),
    };
    let translation = GgufVocabulary::from_json(&folder.tokenizer, ids)?;
    let mut keys = vocabulary(translation.vocabulary);
    keys.extend(special_tokens(folder, model));
    let mut entries: Vec<_> = keys
        .into_iter()
        .map(|(key, value)| (format!("tokenizer.ggml.{key}"), value))
        .collect();
    if !translation.unsaid.is_empty() {
        notes.push(format!(
            "GGUF has no word for {} of the tokenizer; programs that do not read {WHOLE_FILE} may cut text in another way",
            translation.unsaid.join(", ")
        ));
        let file = String::from_utf8_lossy(&folder.tokenizer).into_owned();
        entries.push((WHOLE_FILE.to_owned(), Value::String(file)));
    }
    if let Some(template) = &folder.chat_template {
        entries.push((
            "tokenizer.chat_template".to_owned(),
            Value::String(template.clone()),
        ));
    }
    Ok(entries)
}

/// The keys of a vocabulary; what it does not say has none.
fn vocabulary(file: GgufVocabulary) -> Keys {
    let mut keys: Keys = vec![("model", Value::String(file.model))];
    keys.extend(file.pre.map(|pre| ("pre", Value::String(pre))));
    keys.push(("tokens", Value::Array(Array::String(file.tokens))));
    let types = file.token_types.into_iter().map(GgufTokenKind::number).collect();
    keys.push(("token_type", Value::Array(Array::I32(types))));
    if !file.scores.is_empty() {
        keys.push(("scores", Value::Array(Array::F32(file.scores))));
    }
    if !file.merges.is_empty() {
        keys.push(("merges", Value::Array(Array::String(file.merges))));
    }
    if !file.precompiled_charsmap.is_empty() {
        let charsmap = Value::Array(Array::U8(file.precompiled_charsmap));
        keys.push(("precompiled_charsmap", charsmap));
    }
    let ids = [
        ("eos_token_id", file.eos),
        ("bos_token_id", file.bos),
        ("unknown_token_id", file.unknown),
        ("seperator_token_id", file.separator),
    ];
    let flags = [
        ("add_bos_token", file.add_bos),
        ("add_eos_token", file.add_eos),
        ("add_space_prefix", file.add_space_prefix),
        ("remove_extra_whitespaces", file.remove_extra_whitespaces),
        ("normalizer.lowercase", file.lowercase),
        ("normalizer.strip_accents", file.strip_accents),
    ];
    keys.extend(
        ids.into_iter()
            .filter_map(|(key, id)| Some((key, Value::U32(id?)))),
    );
    keys.extend(
        flags
            .into_iter()
            .filter_map(|(key, flag)| Some((key, Value::Bool(flag?)))),
    );
    keys
}

/// Ids with a meaning that the tokenizer does not know. GGUF has one for the end; the others that end an answer too are listed
/// beside it.
fn special_tokens(folder: &HuggingFace, model: &Model) -> Keys {
    let mut keys = Keys::new();
    if model.info.eos.len() > 1 {
        keys.push(("eos_token_ids", Value::Array(Array::U32(model.info.eos.clone()))));
    }
    keys.extend(id(folder, "pad_token_id").map(|pad| ("padding_token_id", Value::U32(pad))));
    keys
}

/// An id of `config.json` or else of `generation_config.json`; the first when there are several.
fn id(folder: &HuggingFace, key: &str) -> Option<u32> {
    let id_in = |config: Option<&Json>| {
        let value = config?.get(key)?;
        let first = value.as_array().map_or(Some(value), |list| list.first())?;
        first.as_u64().and_then(|id| u32::try_from(id).ok())
    };
    id_in(Some(&own_config(&folder.config))).or_else(|| id_in(folder.generation_config.as_ref()))
}
