//! BPE (byte-level, and SentencePiece's with byte fallback), Unigram and WordPiece, from `tokenizer.json` or from a GGUF
//! file's vocabulary.
//!
//! The algorithms themselves are the crate `tokenizers`'. What is added here: text cannot become a control token, whatever kind of
//! added token the file makes of it; nothing is guessed; bounds.

mod build;
mod charsmap;
mod dialect;
mod gguf;
mod json;
mod merges;
mod model;
mod post;
mod pre;
mod spelling;
mod table;
mod to_gguf;

use std::collections::HashSet;
use std::sync::Arc;

use tokenizers::{
    DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl,
};

pub use gguf::{GgufTokenKind, GgufVocabulary};
use pre::pre_name;
pub use to_gguf::{GgufTranslation, ModelIds};

use json::pipeline_steps;

use crate::TextError;
use crate::controls::{Controls, Rendered, Segment};
use model::SharedModel;
use table::TokenTable;

/// Bytes of text that are encoded at once: about 250,000 tokens of English. With [`ENCODE_BYTES_PER_BYTE`] it bounds what one
/// prompt takes beside the model, at 440 MB.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

/// Bytes of memory that encoding takes for each byte of text, at the most: measured were 402 for digits with spaces between,
/// 155 for English, with `tokenizers` 0.23.2.
pub const ENCODE_BYTES_PER_BYTE: usize = 420;

/// Whitespace characters in a row. The expressions that cut text backtrack over such runs, and from about 500,000 on (the limit
/// of `fancy-regex` is 1,000,000 steps) they give up without a word, which changes the ids.
pub const MAX_WHITESPACE_RUN: usize = 100_000;

/// Token ids of a tokenizer: sixteen times the largest vocabulary in use, so that a wrong id allocates no gigabytes.
pub const MAX_VOCABULARY: usize = 1 << 22;

/// Bytes of text of one added token: ten times the longest in use.
pub const MAX_ADDED_TOKEN_BYTES: usize = 512;

type TextEncoder =
    TokenizerImpl<SharedModel, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// Text to token ids. Shared freely between threads; encoding changes nothing.
pub struct Tokenizer {
    /// Knows no control token at all.
    encoder: TextEncoder,
    /// For text behind a control token, where that is another pipeline.
    later_encoder: Option<TextEncoder>,
    table: TokenTable,
    controls: Arc<Controls>,
    specials: HashSet<u32>,
    around_text: (Vec<u32>, Vec<u32>),
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TextError::Unsupported`] for kinds that are not known, by name; [`TextError::BadTokenizer`] for a file that
    /// contradicts itself, lacks a byte, or whose control tokens ordinary text can spell.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TextError> {
        json::read(bytes)
    }

    /// Takes the vocabulary of a GGUF file. GGUF names no normalization for byte-level BPE, so none is done there.
    ///
    /// # Errors
    /// As [`Self::from_json`]; an unknown `tokenizer.ggml.pre` is refused with the list of the known.
    pub fn from_gguf(vocabulary: GgufVocabulary) -> Result<Self, TextError> {
        gguf::read(vocabulary)
    }

    /// The ids of a plain text prompt, with BOS before and EOS after it where the model's files ask for them. No part of the text
    /// becomes a control token.
    ///
    /// # Errors
    /// [`TextError::TooLong`], [`TextError::WhitespaceRun`].
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, TextError> {
        check_bounds(text)?;
        let (before, after) = &self.around_text;
        let mut ids = before.clone();
        encode_plain(&self.encoder, text, &mut ids)?;
        ids.extend_from_slice(after);
        Ok(ids)
    }

    /// The ids of a rendered conversation: control tokens where the template wrote them, plain text everywhere else. Nothing is
    /// put before or after, because templates write their own BOS: there are never two.
    ///
    /// # Errors
    /// [`TextError::TooLong`], [`TextError::WhitespaceRun`].
    pub fn encode_rendered(&self, rendered: &Rendered) -> Result<Vec<u32>, TextError> {
        check_bounds(&rendered.text())?;
        let (mut ids, mut encoder) = (Vec::new(), &self.encoder);
        for segment in self.controls.split(rendered) {
            match segment {
                Segment::Control(id) => ids.push(id),
                Segment::Text(text) => encode_plain(encoder, &text, &mut ids)?,
            }
            encoder = self.later_encoder.as_ref().unwrap_or(encoder);
        }
        Ok(ids)
    }

    /// The exact bytes that a token adds to the text; not always whole characters. None when no token has the id.
    #[must_use]
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.table.get(id)
    }

    /// The id of a token by its text: plain for control and other added tokens, the vocabulary's own spelling (`Ġthe`, `▁the`)
    /// for the rest.
    #[must_use]
    pub fn token_id(&self, text: &str) -> Option<u32> {
        self.controls.id(text).or_else(|| self.encoder.token_to_id(text))
    }

    /// Whether the model's files mark the token as special: begin, end, roles and the like, which no answer shows.
    #[must_use]
    pub fn is_control(&self, id: u32) -> bool {
        self.specials.contains(&id)
    }

    /// One more than the highest token id.
    #[must_use]
    pub fn vocabulary_len(&self) -> usize {
        self.table.len()
    }

    /// Bytes of the longest token. A text of more than this times a context's tokens is beyond that context, whatever it says.
    #[must_use]
    pub fn longest_token(&self) -> usize {
        self.table.longest()
    }

    pub(crate) fn controls(&self) -> &Arc<Controls> {
        &self.controls
    }
}

fn encode_plain(encoder: &TextEncoder, text: &str, ids: &mut Vec<u32>) -> Result<(), TextError> {
    if !text.is_empty() {
        let encoded = encoder.encode_fast(text, false);
        let encoded = encoded.map_err(|error| TextError::BadTokenizer(error.to_string()))?;
        ids.extend_from_slice(encoded.get_ids());
    }
    Ok(())
}

fn check_bounds(text: &str) -> Result<(), TextError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(TextError::TooLong {
            bytes: text.len(),
            limit: MAX_TEXT_BYTES,
        });
    }
    let mut run = 0_usize;
    for character in text.chars() {
        run = if character.is_whitespace() { run + 1 } else { 0 };
        if run > MAX_WHITESPACE_RUN {
            return Err(TextError::WhitespaceRun {
                limit: MAX_WHITESPACE_RUN,
            });
        }
    }
    Ok(())
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Tokenizer")
            .field("vocabulary_len", &self.vocabulary_len())
            .finish_non_exhaustive()
    }
}
