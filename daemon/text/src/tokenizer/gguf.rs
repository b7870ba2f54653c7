//! Builds a tokenizer from the vocabulary in a GGUF file (keys `tokenizer.ggml.*`, GGUF specification, section
//! "Tokenizer").

use super::build::{Parts, bad};
use super::json::split_merge;
use super::{Tokenizer, pre};
use crate::TextError;
use crate::controls::Control;

/// What a GGUF file says of its tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GgufVocabulary {
    /// `tokenizer.ggml.model`; `gpt2` is byte-level BPE.
    pub model: String,
    /// `tokenizer.ggml.pre`; refused when absent, because it decides the ids.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`, by id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.token_type`, one a token.
    pub token_types: Vec<GgufTokenKind>,
    /// `tokenizer.ggml.merges`, each `left right`.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`; the pre-tokenizer's habit when absent.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`; no when absent.
    pub add_eos: Option<bool>,
}

/// `tokenizer.ggml.token_type` of one token (`llama_token_type` in llama.cpp's `llama.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GgufTokenKind {
    /// 1: part of text.
    Normal,
    /// 2: stands for what has no token.
    Unknown,
    /// 3: a control token.
    Control,
    /// 4: added by whoever made the model; matched as a whole.
    UserDefined,
    /// 5: no meaning; fills the table.
    Unused,
}

impl TryFrom<i64> for GgufTokenKind {
    type Error = TextError;

    /// Reads the number in the file; 6 (byte) and others do not occur in byte-level BPE and are refused.
    fn try_from(number: i64) -> Result<Self, TextError> {
        Ok(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            _ => {
                return Err(TextError::Unsupported {
                    what: "the token type (tokenizer.ggml.token_type)",
                    name: number.to_string(),
                    known: "1 normal, 2 unknown, 3 control, 4 user defined, 5 unused".to_owned(),
                });
            }
        })
    }
}

pub(super) fn read(file: GgufVocabulary) -> Result<Tokenizer, TextError> {
    if file.model != "gpt2" {
        return Err(TextError::Unsupported {
            what: "the tokenizer (tokenizer.ggml.model)",
            name: file.model,
            known: "gpt2 (byte-level BPE)".to_owned(),
        });
    }
    let rule = pre::find(file.pre.as_deref().unwrap_or("(absent)"))?;
    if file.tokens.len() != file.token_types.len() {
        let (tokens, types) = (file.tokens.len(), file.token_types.len());
        return Err(bad(format!(
            "the file has {tokens} tokens but {types} token types"
        )));
    }
    let before = around(
        file.add_bos.unwrap_or(rule.add_bos),
        file.bos,
        "bos",
        file.tokens.len(),
    )?;
    let after = around(file.add_eos.unwrap_or(false), file.eos, "eos", file.tokens.len())?;
    let ids = file.tokens.len();
    let (mut vocabulary, mut added) = (Vec::new(), Vec::new());
    for ((text, kind), id) in file.tokens.into_iter().zip(file.token_types).zip(0_u32..) {
        match kind {
            GgufTokenKind::Normal => vocabulary.push((text, id)),
            GgufTokenKind::Unused => {}
            GgufTokenKind::UserDefined => added.push(control(text, id, false)),
            GgufTokenKind::Control | GgufTokenKind::Unknown => added.push(control(text, id, true)),
        }
    }
    // A word that the maker added as a whole may be a merge's result too; the merges look it up by its text.
    let words: Vec<_> = added
        .iter()
        .filter(|token| !token.special)
        .map(|t| (t.text.clone(), t.id))
        .collect();
    vocabulary.extend(words);
    Parts {
        vocabulary,
        merges: file
            .merges
            .iter()
            .map(|line| split_merge(line))
            .collect::<Result<_, _>>()?,
        added,
        ignore_merges: rule.ignore_merges,
        normalizer: None,
        pre_tokenizer: rule.pre_tokenizer()?,
        around_text: (before, after),
        ids,
    }
    .build()
}

fn control(text: String, id: u32, special: bool) -> Control {
    Control {
        id,
        text,
        special,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
    }
}

fn around(wanted: bool, id: Option<u32>, name: &str, tokens: usize) -> Result<Vec<u32>, TextError> {
    match id {
        _ if !wanted => Ok(Vec::new()),
        Some(id) if (id as usize) < tokens => Ok(vec![id]),
        Some(id) => Err(bad(format!(
            "its {name} token {id} is outside the {tokens} tokens"
        ))),
        None => Err(bad(format!(
            "text prompts need the {name} token, but the file names none"
        ))),
    }
}
