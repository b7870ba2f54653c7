//! WordPiece (`bert`). GGUF writes `▁play` and `ing` where the models' own files have `play` and `##ing`.

use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

use super::super::build::{Parts, bad, by_text};
use super::super::model::ModelParts;
use super::super::spelling::{SPACE, Spelling};
use super::{GgufTokenKind, GgufVocabulary, Sorted, around_text};
use crate::TextError;

/// What begins an entry that continues a word, in the models' own files.
const PREFIX: &str = "##";
/// Longer words are unknown, in characters (the default of `transformers`).
pub(in crate::tokenizer) const MAX_WORD: usize = 100;

pub(super) fn parts(mut file: GgufVocabulary) -> Result<Parts, TextError> {
    let unknown = file.unknown.and_then(|id| file.tokens.get(id as usize)).cloned();
    let unknown = unknown
        .ok_or_else(|| bad("it names no token for unknown words (tokenizer.ggml.unknown_token_id)"))?;
    // A text ends with the separator; files that name only an end mean the same.
    file.eos = file.separator.or(file.eos);
    let around = around_text(&file, true, true)?;
    let lowercase = file.lowercase.unwrap_or(true);
    let strip_accents = file.strip_accents.unwrap_or(lowercase);
    let ids = file.tokens.len();
    for (text, kind) in file.tokens.iter_mut().zip(&file.token_types) {
        if *kind == GgufTokenKind::Normal {
            *text = own_spelling(text);
        }
    }
    let Sorted { mut text, added } = Sorted::new(file.tokens, file.token_types);
    // The model looks the unknown word up by its text.
    let unknown_id = added
        .iter()
        .find(|token| token.text == unknown)
        .map(|token| token.id);
    text.extend(unknown_id.map(|id| (unknown.clone(), id)));
    Ok(Parts {
        model: ModelParts::WordPiece {
            vocabulary: by_text(text)?,
            prefix: PREFIX.to_owned(),
            unknown,
            max_word: MAX_WORD,
        },
        spelling: Spelling::WordPiece(PREFIX.to_owned()),
        added,
        normalizer: Some(BertNormalizer::new(true, true, Some(strip_accents), lowercase).into()),
        pre_tokenizer: Some(BertPreTokenizer.into()),
        around_text: around,
        ids,
    })
}

/// Brackets around an entry keep it as it is (`[unused1]`), as in llama.cpp's converter.
fn own_spelling(text: &str) -> String {
    match text.strip_prefix(SPACE) {
        Some(word) => word.to_owned(),
        None if text.starts_with('[') && text.ends_with(']') => text.to_owned(),
        None => format!("{PREFIX}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::own_spelling;

    #[test]
    fn words_begin_with_a_space_and_the_rest_continues_one() {
        let own = ["▁play", "ing", "[unused1]", "▁", "]"].map(own_spelling);
        assert_eq!(own, ["play", "##ing", "[unused1]", "", "##]"]);
    }
}
