//! BPE: byte-level, or SentencePiece's with byte fallback.

use serde::Deserialize;

use super::{File, ModelParts, Spelling, parse, pipeline, unsupported};
use crate::TextError;
use crate::tokenizer::build::{bad, by_text};

#[derive(Deserialize)]
pub(in crate::tokenizer) struct Bpe {
    dropout: Option<f32>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    pub(in crate::tokenizer) unk_token: Option<String>,
    #[serde(default)]
    pub(in crate::tokenizer) byte_fallback: bool,
    #[serde(default)]
    pub(in crate::tokenizer) ignore_merges: bool,
    pub(in crate::tokenizer) vocab: std::collections::HashMap<String, u32>,
    merges: Merges,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merges {
    Pairs(Vec<(String, String)>),
    Lines(Vec<String>),
}

pub(super) fn read(file: &File) -> Result<(ModelParts, Spelling), TextError> {
    let model: Bpe = parse("model", file.model.clone())?;
    check(&model)?;
    let spelling = if model.byte_fallback {
        pipeline::check_spaces(file, &["Split", "Metaspace", "WhitespaceSplit"])?;
        Spelling::SentencePiece
    } else {
        pipeline::check_byte_level(&file.pre_tokenizer)?;
        Spelling::ByteLevel
    };
    let parts = ModelParts::Bpe {
        byte_fallback: model.byte_fallback,
        ignore_merges: model.ignore_merges,
        vocabulary: by_text(model.vocab.clone())?,
        merges: model.pairs()?,
    };
    Ok((parts, spelling))
}

fn check(model: &Bpe) -> Result<(), TextError> {
    let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let name = if set(&model.continuing_subword_prefix) {
        "continuing_subword_prefix"
    } else if set(&model.end_of_word_suffix) {
        "end_of_word_suffix"
    } else if model.dropout.is_some_and(|dropout| dropout != 0.0) {
        "dropout"
    } else {
        return Ok(());
    };
    Err(unsupported("the BPE option", name, "BPE without it"))
}

impl Bpe {
    /// The merges, the first first.
    pub(in crate::tokenizer) fn pairs(self) -> Result<Vec<(String, String)>, TextError> {
        match self.merges {
            Merges::Pairs(pairs) => Ok(pairs),
            Merges::Lines(lines) => lines
                .iter()
                .filter(|line| !line.starts_with("#version"))
                .map(|line| split_merge(line))
                .collect(),
        }
    }
}

/// Splits `left right`, the form of a merge in GGUF and in older files.
pub(in crate::tokenizer) fn split_merge(line: &str) -> Result<(String, String), TextError> {
    line.split_once(' ')
        .filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '))
        .map(|(left, right)| (left.to_owned(), right.to_owned()))
        .ok_or_else(|| {
            bad(format!(
                "the merge `{line}` is not two tokens with a space between"
            ))
        })
}
