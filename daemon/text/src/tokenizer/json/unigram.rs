//! Unigram: pieces with scores.

use serde::Deserialize;

use super::{File, ModelParts, Spelling, parse, pipeline};
use crate::TextError;
use crate::tokenizer::build::bad;

#[derive(Deserialize)]
pub(in crate::tokenizer) struct Unigram {
    pub(in crate::tokenizer) unk_id: Option<usize>,
    pub(in crate::tokenizer) vocab: Vec<(String, f64)>,
    #[serde(default)]
    pub(in crate::tokenizer) byte_fallback: bool,
}

pub(super) fn read(file: &File) -> Result<(ModelParts, Spelling), TextError> {
    let model: Unigram = parse("model", file.model.clone())?;
    pipeline::check_spaces(
        file,
        &["Metaspace", "WhitespaceSplit", "Split", "Punctuation", "Digits"],
    )?;
    let unknown = model.unk_id.filter(|id| *id < model.vocab.len());
    let parts = ModelParts::Unigram {
        unknown: unknown.ok_or_else(|| bad("it has no token for what it cannot spell (unk_id)"))?,
        pieces: model.vocab,
        byte_fallback: model.byte_fallback,
    };
    Ok((parts, Spelling::SentencePiece))
}
