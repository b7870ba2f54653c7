//! Unigram: pieces with scores.

use serde::Deserialize;

use super::{File, ModelParts, Spelling, parse, pipeline, unsupported};
use crate::TextError;
use crate::tokenizer::build::bad;

#[derive(Deserialize)]
struct Unigram {
    unk_id: Option<usize>,
    vocab: Vec<(String, f64)>,
    #[serde(default)]
    byte_fallback: bool,
}

pub(super) fn read(file: &File) -> Result<(ModelParts, Spelling), TextError> {
    let model: Unigram = parse("model", file.model.clone())?;
    if model.byte_fallback {
        // The library would take the text `<0x0A>` for that byte.
        return Err(unsupported(
            "the Unigram option",
            "byte_fallback",
            "Unigram without it",
        ));
    }
    pipeline::check_spaces(
        file,
        &["Metaspace", "WhitespaceSplit", "Split", "Punctuation", "Digits"],
    )?;
    let unknown = model.unk_id.filter(|id| *id < model.vocab.len());
    let parts = ModelParts::Unigram {
        unknown: unknown.ok_or_else(|| bad("it has no token for what it cannot spell (unk_id)"))?,
        pieces: model.vocab,
    };
    Ok((parts, Spelling::SentencePiece))
}
