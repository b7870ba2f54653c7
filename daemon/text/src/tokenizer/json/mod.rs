//! Reads Hugging Face's `tokenizer.json` (crate `tokenizers`, version 1.0 of the format).

mod bpe;
mod pipeline;
mod unigram;
mod wordpiece;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

pub(super) use bpe::{Bpe, split_merge};
pub(super) use pipeline::{charsmap, steps as pipeline_steps};
pub(super) use unigram::Unigram;
pub(super) use wordpiece::WordPiece;

use super::build::{Parts, bad};
use super::model::ModelParts;
use super::spelling::Spelling;
use super::{Tokenizer, dialect, post};
use crate::TextError;
use crate::controls::Control;

#[derive(Deserialize)]
pub(super) struct File {
    #[serde(default)]
    pub(super) added_tokens: Vec<Added>,
    #[serde(default)]
    pub(super) normalizer: Value,
    #[serde(default)]
    pub(super) pre_tokenizer: Value,
    #[serde(default)]
    pub(super) post_processor: Value,
    #[serde(default)]
    decoder: Value,
    pub(super) model: Value,
}

impl File {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, TextError> {
        serde_json::from_slice(bytes).map_err(|error| bad(format!("tokenizer.json: {error}")))
    }

    /// The kind of the model; files from before there was a choice have BPE.
    pub(super) fn kind(&self) -> &str {
        self.model["type"].as_str().unwrap_or("BPE")
    }
}

#[derive(Deserialize)]
pub(super) struct Added {
    pub(super) id: u32,
    pub(super) content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    pub(super) special: bool,
}

impl Added {
    /// Whether it is matched by more than its own text.
    pub(super) const fn takes_neighbours(&self) -> bool {
        self.single_word || self.lstrip || self.rstrip
    }
}

/// Parses and checks the file; truncation and padding in it are not for prompts and are left out.
pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, TextError> {
    let file = File::parse(bytes)?;
    let (model, spelling) = match file.kind() {
        "BPE" => bpe::read(&file)?,
        "Unigram" => unigram::read(&file)?,
        "WordPiece" => wordpiece::read(&file)?,
        kind => {
            return Err(unsupported(
                "the tokenizer model",
                kind,
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
        normalizer: parse::<Option<NormalizerWrapper>>("normalizer", dialect::expressions(file.normalizer))?,
        pre_tokenizer: parse::<Option<PreTokenizerWrapper>>(
            "pre_tokenizer",
            dialect::expressions(file.pre_tokenizer),
        )?,
        around_text: post::around_text(&file.post_processor)?,
    };
    parts.build()
}

/// A part of the file in the library's own form. From text, because some of its types borrow from it.
pub(super) fn parse<T: serde::de::DeserializeOwned>(what: &str, value: Value) -> Result<T, TextError> {
    serde_json::from_str(&value.to_string()).map_err(|error| bad(format!("tokenizer.json, {what}: {error}")))
}

pub(super) fn unsupported(what: &'static str, name: &str, known: &str) -> TextError {
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
