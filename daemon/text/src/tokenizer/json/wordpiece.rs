//! WordPiece: the longest entry first, word by word.

use serde::Deserialize;

use super::{File, ModelParts, Spelling, parse, pipeline};
use crate::TextError;
use crate::tokenizer::build::{bad, by_text};

/// Characters in a word beyond which its pieces are not looked for, at the most: ten times the customary 100, because the
/// work grows with the square.
const MAX_WORD: usize = 1000;

#[derive(Deserialize)]
pub(in crate::tokenizer) struct WordPiece {
    pub(in crate::tokenizer) unk_token: String,
    pub(in crate::tokenizer) continuing_subword_prefix: String,
    pub(in crate::tokenizer) max_input_chars_per_word: usize,
    pub(in crate::tokenizer) vocab: std::collections::HashMap<String, u32>,
}

pub(super) fn read(file: &File) -> Result<(ModelParts, Spelling), TextError> {
    let model: WordPiece = parse("model", file.model.clone())?;
    pipeline::check_steps(
        &file.pre_tokenizer,
        &[
            "BertPreTokenizer",
            "Whitespace",
            "WhitespaceSplit",
            "Punctuation",
            "Digits",
        ],
    )?;
    if model.max_input_chars_per_word > MAX_WORD {
        let found = model.max_input_chars_per_word;
        return Err(bad(format!(
            "it takes words of {found} characters, more than {MAX_WORD}"
        )));
    }
    let spelling = Spelling::WordPiece(model.continuing_subword_prefix.clone());
    let parts = ModelParts::WordPiece {
        vocabulary: by_text(model.vocab)?,
        prefix: model.continuing_subword_prefix,
        unknown: model.unk_token,
        max_word: model.max_input_chars_per_word,
    };
    Ok((parts, spelling))
}
