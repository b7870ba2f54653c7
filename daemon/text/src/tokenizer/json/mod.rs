//! Reads Hugging Face's `tokenizer.json` (crate `tokenizers`, version 1.0 of the format).

mod bpe;
mod pipeline;
mod unigram;
mod wordpiece;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

pub(super) use bpe::split_merge;

use super::build::{Parts, bad};
use super::model::ModelParts;
use super::spelling::Spelling;
use super::{Tokenizer, post};
use crate::TextError;
use crate::controls::Control;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Value,
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

/// Parses and checks the file; truncation and padding in it are not for prompts and are left out.
pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, TextError> {
    let file: File =
        serde_json::from_slice(bytes).map_err(|error| bad(format!("tokenizer.json: {error}")))?;
    let kind = file.model["type"].as_str().unwrap_or("BPE").to_owned();
    let (model, spelling) = match kind.as_str() {
        "BPE" => bpe::read(&file)?,
        "Unigram" => unigram::read(&file)?,
        "WordPiece" => wordpiece::read(&file)?,
        _ => {
            return Err(unsupported(
                "the tokenizer model",
                &kind,
                "BPE, Unigram, WordPiece",
            ));
        }
    };
    pipeline::check_normalizer(&file.normalizer)?;
    let parts = Parts {
        ids: ids(&model, &file.added_tokens),
        model,
        spelling,
        added: file.added_tokens.into_iter().map(Control::from).collect(),
        normalizer: parse::<Option<NormalizerWrapper>>("normalizer", file.normalizer)?,
        pre_tokenizer: parse::<Option<PreTokenizerWrapper>>("pre_tokenizer", file.pre_tokenizer)?,
        around_text: post::around_text(&file.post_processor)?,
    };
    parts.build()
}

/// A part of the file in the library's own form. From text, because some of its types borrow from it.
fn parse<T: serde::de::DeserializeOwned>(what: &str, value: Value) -> Result<T, TextError> {
    serde_json::from_str(&value.to_string()).map_err(|error| bad(format!("tokenizer.json, {what}: {error}")))
}

fn unsupported(what: &'static str, name: &str, known: &str) -> TextError {
    TextError::Unsupported {
        what,
        name: name.to_owned(),
        known: known.to_owned(),
    }
}

fn ids(model: &ModelParts, added: &[Added]) -> usize {
    let own = model.entries().map(|(_, id)| id);
    let highest = own.chain(added.iter().map(|token| token.id)).max();
    highest.map_or(0, |id| id as usize + 1)
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
