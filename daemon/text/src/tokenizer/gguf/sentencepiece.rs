//! SentencePiece's models with scores: BPE (`llama`) and Unigram (`t5`).

use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Precompiled, Replace, Sequence};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

use super::super::build::{Parts, bad, by_text};
use super::super::model::ModelParts;
use super::super::spelling::{SPACE, Spelling};
use super::super::{charsmap, merges};
use super::bpe::spaces;
use super::{GgufTokenKind, GgufVocabulary, Sorted, around_text};
use crate::TextError;

/// BPE that merges by score, the text as a whole. Text after a control token begins with a space too, as in llama.cpp and in
/// the `Prepend` of `transformers`.
pub(super) fn bpe(file: GgufVocabulary) -> Result<Parts, TextError> {
    check_scores(&file)?;
    let around = around_text(&file, true, false)?;
    let normalizer = spaces(file.add_space_prefix.unwrap_or(true))?;
    let ids = file.tokens.len();
    let merged = |kind: &GgufTokenKind| matches!(kind, GgufTokenKind::Normal | GgufTokenKind::UserDefined);
    let scored: Vec<_> = file
        .tokens
        .iter()
        .zip(&file.token_types)
        .zip(&file.scores)
        .zip(0_u32..)
        .filter(|(((_, kind), _), _)| merged(kind))
        .map(|(((text, _), score), id)| (text.clone(), id, *score))
        .collect();
    let merges = merges::from_scores(&scored)?;
    let Sorted { text, added } = Sorted::new(file.tokens, file.token_types);
    Ok(Parts {
        model: ModelParts::Bpe {
            vocabulary: by_text(text)?,
            merges,
            ignore_merges: false,
            byte_fallback: true,
        },
        spelling: Spelling::SentencePiece,
        added,
        normalizer: Some(normalizer),
        pre_tokenizer: None,
        around_text: around,
        ids,
    })
}

/// The sequence of pieces with the highest sum of scores, word by word.
pub(super) fn unigram(file: GgufVocabulary) -> Result<Parts, TextError> {
    check_scores(&file)?;
    let around = around_text(&file, false, true)?;
    let normalizer = normalizer(&file)?;
    // A model without fallback has no tokens for bytes.
    let byte_fallback = file.token_types.contains(&GgufTokenKind::Byte);
    let is_unknown = |kind: &GgufTokenKind| *kind == GgufTokenKind::Unknown;
    let typed = || file.token_types.iter().position(is_unknown);
    let unknown = file.unknown.map(|id| id as usize).or_else(typed);
    let unknown = unknown
        .filter(|id| *id < file.tokens.len())
        .ok_or_else(|| bad("it has no token for what it cannot spell (tokenizer.ggml.unknown_token_id)"))?;
    let scheme = match file.add_space_prefix {
        Some(false) => PrependScheme::Never,
        _ => PrependScheme::Always,
    };
    let pieces = file.tokens.iter().zip(&file.token_types).zip(&file.scores);
    let pieces = pieces.map(|((text, kind), score)| {
        let text = if *kind == GgufTokenKind::Unused {
            String::new()
        } else {
            text.clone()
        };
        (text, f64::from(*score))
    });
    Ok(Parts {
        ids: file.tokens.len(),
        model: ModelParts::Unigram {
            pieces: pieces.collect(),
            unknown,
            byte_fallback,
        },
        spelling: Spelling::SentencePiece,
        added: Sorted::new(file.tokens, file.token_types).added,
        normalizer,
        pre_tokenizer: Some(PreTokenizerWrapper::Metaspace(Metaspace::new(
            SPACE, scheme, true,
        ))),
        around_text: around,
    })
}

fn check_scores(file: &GgufVocabulary) -> Result<(), TextError> {
    let (tokens, scores) = (file.tokens.len(), file.scores.len());
    if tokens == scores {
        Ok(())
    } else {
        Err(bad(format!("the file has {tokens} tokens but {scores} scores")))
    }
}

fn normalizer(file: &GgufVocabulary) -> Result<Option<NormalizerWrapper>, TextError> {
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if !file.precompiled_charsmap.is_empty() {
        charsmap::check(&file.precompiled_charsmap)?;
        let precompiled = Precompiled::from(&file.precompiled_charsmap);
        steps.push(precompiled.map_err(|error| bad(error.to_string()))?.into());
    }
    if file.remove_extra_whitespaces == Some(true) {
        // In this order the work is linear: no run is left for the second expression to try at each of its spaces.
        for (expression, content) in [(" {2,}", " "), ("^ | $", "")] {
            let pattern = ReplacePattern::Regex(expression.to_owned());
            steps.push(
                Replace::new(pattern, content)
                    .map_err(|error| bad(error.to_string()))?
                    .into(),
            );
        }
    }
    Ok((!steps.is_empty()).then(|| Sequence::new(steps).into()))
}
