//! BPE with merges in the file: over GPT-2's byte letters (`gpt2`), or over plain text with `▁` for spaces (`gemma4`).

use tokenizers::normalizers::Replace;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

use super::super::build::{Parts, bad, by_text};
use super::super::json::split_merge;
use super::super::model::ModelParts;
use super::super::pre;
use super::super::spelling::{SPACE, Spelling};
use super::{GgufVocabulary, Sorted, around_text};
use crate::TextError;

pub(super) fn byte_level(file: GgufVocabulary) -> Result<Parts, TextError> {
    let rule = pre::find(file.pre.as_deref().unwrap_or("(absent)"))?;
    let around = around_text(&file, rule.add_bos, false)?;
    let pre_tokenizer = rule.pre_tokenizer()?;
    let mut parts = parts(file, around, Spelling::ByteLevel)?;
    if let ModelParts::Bpe { ignore_merges, .. } = &mut parts.model {
        *ignore_merges = rule.ignore_merges;
    }
    parts.pre_tokenizer = Some(pre_tokenizer);
    Ok(parts)
}

/// Text is merged as a whole (llama.cpp, `LLAMA_VOCAB_PRE_TYPE_GEMMA4`), without a space before it unless the file asks.
pub(super) fn spaced(file: GgufVocabulary) -> Result<Parts, TextError> {
    let around = around_text(&file, true, false)?;
    let prefix = file.add_space_prefix.unwrap_or(false);
    let mut parts = parts(file, around, Spelling::SentencePiece)?;
    parts.normalizer = Some(spaces(prefix)?);
    Ok(parts)
}

/// Writes `▁` for each space, and before the text.
pub(super) fn spaces(prefix: bool) -> Result<NormalizerWrapper, TextError> {
    use tokenizers::normalizers::{Prepend, Sequence};
    let replace = Replace::new(" ", SPACE).map_err(|error| bad(error.to_string()))?;
    let mut steps: Vec<NormalizerWrapper> = vec![replace.into()];
    if prefix {
        steps.insert(0, Prepend::new(SPACE.to_string()).into());
    }
    Ok(Sequence::new(steps).into())
}

fn parts(
    file: GgufVocabulary,
    around_text: (Vec<u32>, Vec<u32>),
    spelling: Spelling,
) -> Result<Parts, TextError> {
    let ids = file.tokens.len();
    let merges = file
        .merges
        .into_iter()
        .map(|line| split_merge(&line))
        .collect::<Result<_, _>>()?;
    let Sorted { text, added } = Sorted::new(file.tokens, file.token_types);
    Ok(Parts {
        model: ModelParts::Bpe {
            vocabulary: by_text(text)?,
            merges,
            ignore_merges: false,
            byte_fallback: matches!(spelling, Spelling::SentencePiece),
        },
        spelling,
        added,
        normalizer: None,
        pre_tokenizer: None::<PreTokenizerWrapper>,
        around_text,
        ids,
    })
}
