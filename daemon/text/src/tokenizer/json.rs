//! Reads Hugging Face's `tokenizer.json` (crate `tokenizers`, version 1.0 of the format).

use std::collections::HashMap;

use serde::Deserialize;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

use super::build::{Parts, bad};
use super::{Tokenizer, post};
use crate::TextError;
use crate::controls::Control;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<serde_json::Value>,
    #[serde(default)]
    post_processor: serde_json::Value,
    model: serde_json::Value,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct Bpe {
    dropout: Option<f32>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    vocab: HashMap<String, u32>,
    merges: Merges,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merges {
    Pairs(Vec<(String, String)>),
    Lines(Vec<String>),
}

/// Parses and checks the file; truncation and padding in it are not for prompts and are left out.
pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, TextError> {
    let file: File =
        serde_json::from_slice(bytes).map_err(|error| bad(format!("tokenizer.json: {error}")))?;
    let kind = file
        .model
        .get("type")
        .and_then(|kind| kind.as_str())
        .unwrap_or("BPE");
    if kind != "BPE" {
        return Err(unsupported("the tokenizer model", kind, "BPE (byte-level)"));
    }
    let model =
        Bpe::deserialize(file.model).map_err(|error| bad(format!("tokenizer.json, model: {error}")))?;
    check(&model)?;
    let parts = Parts {
        ids: ids(&model, &file.added_tokens),
        vocabulary: model.vocab.into_iter().collect(),
        merges: pairs(model.merges)?,
        added: file.added_tokens.into_iter().map(Control::from).collect(),
        ignore_merges: model.ignore_merges,
        normalizer: file.normalizer,
        pre_tokenizer: pre_tokenizer(file.pre_tokenizer)?,
        around_text: post::around_text(&file.post_processor)?,
    };
    parts.build()
}

fn unsupported(what: &'static str, name: &str, known: &str) -> TextError {
    TextError::Unsupported {
        what,
        name: name.to_owned(),
        known: known.to_owned(),
    }
}

fn check(model: &Bpe) -> Result<(), TextError> {
    let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let name = if model.byte_fallback {
        "byte_fallback"
    } else if set(&model.continuing_subword_prefix) {
        "continuing_subword_prefix"
    } else if set(&model.end_of_word_suffix) {
        "end_of_word_suffix"
    } else if model.dropout.is_some_and(|dropout| dropout != 0.0) {
        "dropout"
    } else {
        return Ok(());
    };
    Err(unsupported("the BPE option", name, "byte-level BPE without it"))
}

fn ids(model: &Bpe, added: &[Added]) -> usize {
    let highest = model
        .vocab
        .values()
        .copied()
        .chain(added.iter().map(|token| token.id))
        .max();
    highest.map_or(0, |id| id as usize + 1)
}

fn pairs(merges: Merges) -> Result<Vec<(String, String)>, TextError> {
    match merges {
        Merges::Pairs(pairs) => Ok(pairs),
        Merges::Lines(lines) => lines
            .iter()
            .filter(|line| !line.starts_with("#version"))
            .map(|line| split_merge(line))
            .collect(),
    }
}

/// Splits `left right`, the form of a merge in GGUF and in older files.
pub(super) fn split_merge(line: &str) -> Result<(String, String), TextError> {
    line.split_once(' ')
        .filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '))
        .map(|(left, right)| (left.to_owned(), right.to_owned()))
        .ok_or_else(|| {
            bad(format!(
                "the merge `{line}` is not two tokens with a space between"
            ))
        })
}

fn pre_tokenizer(value: Option<serde_json::Value>) -> Result<PreTokenizerWrapper, TextError> {
    let value = value.unwrap_or_default();
    let name = |value: &serde_json::Value| value["type"].as_str().unwrap_or("none").to_owned();
    let steps: Vec<String> = match value["pretokenizers"].as_array() {
        Some(steps) => steps.iter().map(name).collect(),
        None => vec![name(&value)],
    };
    if steps.iter().filter(|step| *step == "ByteLevel").count() != 1 {
        return Err(unsupported(
            "the pre-tokenizer",
            &steps.join(" + "),
            "ByteLevel, alone or in a Sequence",
        ));
    }
    PreTokenizerWrapper::deserialize(value)
        .map_err(|error| bad(format!("tokenizer.json, pre_tokenizer: {error}")))
}

impl From<Added> for Control {
    fn from(token: Added) -> Self {
        let Added {
            id,
            content,
            single_word,
            lstrip,
            rstrip,
            normalized,
            special,
        } = token;
        Self {
            id,
            text: content,
            special,
            single_word,
            lstrip,
            rstrip,
            normalized,
        }
    }
}
