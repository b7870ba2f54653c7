//! From a `tokenizer.json` to the keys of a GGUF file: the way back of [`super::gguf`].
//!
//! GGUF names rules where `tokenizer.json` spells them out. What it has no name for is refused where other programs would cut text
//! in another way; what it merely leaves out is told, so that whoever writes the file can put the whole JSON beside the keys
//! (`tokenizer.huggingface.json`).

mod bpe;
mod unigram;
mod wordpiece;

use serde_json::Value;

use super::gguf::{GgufTokenKind, GgufVocabulary};
use super::json::{File, unsupported};
use super::{MAX_VOCABULARY, Tokenizer, post};
use crate::TextError;
use crate::tokenizer::build::bad;

/// A tokenizer in GGUF's words.
#[derive(Debug, Clone, PartialEq)]
pub struct GgufTranslation {
    /// What the keys are to say.
    pub vocabulary: GgufVocabulary,
    /// What GGUF has no words for; empty when the keys say everything.
    pub unsaid: Vec<String>,
}

/// Ids of a model that its tokenizer does not know by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelIds {
    /// Rows of the embedding: each gets a token.
    pub rows: usize,
    /// What begins a text.
    pub bos: Option<u32>,
    /// What ends an answer.
    pub eos: Option<u32>,
}

impl GgufVocabulary {
    /// What a GGUF file says of the tokenizer in a `tokenizer.json`.
    ///
    /// # Errors
    /// As [`Tokenizer::from_json`]; [`TextError::Unsupported`] for rules that GGUF has no name for.
    pub fn from_json(bytes: &[u8], ids: ModelIds) -> Result<GgufTranslation, TextError> {
        let own = Tokenizer::from_json(bytes)?;
        let file = File::parse(bytes)?;
        let mut translation = match file.kind() {
            "Unigram" => unigram::translate(&file, ids)?,
            "WordPiece" => wordpiece::translate(&file, ids)?,
            _ => bpe::translate(&file, ids)?,
        };
        around(&file, ids, &mut translation.vocabulary)?;
        if let Some(token) = file.added_tokens.iter().find(|token| token.takes_neighbours()) {
            let what = format!("which whitespace the token {} takes", token.content);
            translation.unsaid.push(what);
        }
        let theirs = Tokenizer::from_gguf(translation.vocabulary.clone())?;
        let count = u32::try_from(own.vocabulary_len()).unwrap_or(u32::MAX);
        if let Some(id) = (0..count).find(|id| own.token_bytes(*id) != theirs.token_bytes(*id)) {
            translation.unsaid.push(format!("the text of the token {id}"));
        }
        Ok(translation)
    }
}

/// Tokens by id, with their kinds. `kind` tells those of the model itself; ids without a token are filled up to the model's rows.
fn tokens<'a>(
    entries: impl Iterator<Item = (&'a str, u32)>,
    file: &'a File,
    rows: usize,
    kind: impl Fn(&str) -> GgufTokenKind,
) -> Result<(Vec<String>, Vec<GgufTokenKind>), TextError> {
    if rows > MAX_VOCABULARY {
        return Err(bad(format!(
            "the model has {rows} token ids, more than {MAX_VOCABULARY}"
        )));
    }
    let mut tokens: Vec<Option<(String, GgufTokenKind)>> = vec![None; rows];
    let own = entries.map(|(text, id)| (text, id, kind(text)));
    let added = file.added_tokens.iter().map(|token| {
        let text = token.content.as_str();
        let kind = match (kind(text), token.special) {
            (GgufTokenKind::Unknown, _) => GgufTokenKind::Unknown,
            (_, true) => GgufTokenKind::Control,
            (_, false) => GgufTokenKind::UserDefined,
        };
        (text, token.id, kind)
    });
    for (text, id, kind) in own.chain(added) {
        let slot = tokens.get_mut(id as usize).ok_or_else(|| {
            bad(format!(
                "the token {text:?} has the id {id}, beyond the {rows} rows of the model's embedding"
            ))
        })?;
        *slot = Some((text.to_owned(), kind));
    }
    let filled = tokens.into_iter().enumerate().map(|(id, token)| {
        // The text that llama.cpp's converter gives them.
        token.unwrap_or_else(|| (format!("[PAD{id}]"), GgufTokenKind::Unused))
    });
    Ok(filled.unzip())
}

/// BOS and EOS, and whether a text gets them.
fn around(file: &File, ids: ModelIds, vocabulary: &mut GgufVocabulary) -> Result<(), TextError> {
    let (before, after) = post::around_text(&file.post_processor)?;
    let begins = match *before {
        [] => ids.bos,
        [id] if ids.bos.is_none_or(|bos| bos == id) => Some(id),
        _ => return Err(post_processor(&file.post_processor)),
    };
    let ends = match *after {
        [] => ids.eos,
        [id] => Some(id),
        _ => return Err(post_processor(&file.post_processor)),
    };
    vocabulary.bos = begins;
    vocabulary.eos = ends;
    vocabulary.add_bos = Some(!before.is_empty());
    vocabulary.add_eos = Some(!after.is_empty());
    Ok(())
}

fn post_processor(found: &Value) -> TextError {
    in_gguf("the post-processor", found, "one that adds BOS, EOS or nothing")
}

/// What GGUF has no name for, shortened.
fn in_gguf(what: &'static str, found: &Value, known: &str) -> TextError {
    /// Characters of a value in an error: enough to recognise it.
    const MAX_SHOWN: usize = 200;
    let shown: String = found.to_string().chars().take(MAX_SHOWN).collect();
    unsupported(what, &shown, &format!("in GGUF, {known}"))
}
