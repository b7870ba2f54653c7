//! Byte-level BPE by the name of its rule, SentencePiece's BPE by scores or, where no scores order its merges, by the merges.

use serde_json::{Value, json};

use super::super::gguf::{GgufTokenKind, GgufVocabulary};
use super::super::json::{Bpe, File, parse};
use super::super::merges::scores_of;
use super::super::spelling::byte_of;
use super::super::{pipeline_steps, pre_name};
use super::{GgufTranslation, ModelIds, in_gguf, tokens};
use crate::TextError;

pub(super) fn translate(file: &File, ids: ModelIds) -> Result<GgufTranslation, TextError> {
    let model: Bpe = parse("model", file.model.clone())?;
    if model.byte_fallback {
        spaced(file, model, ids)
    } else {
        byte_level(file, model, ids)
    }
}

fn byte_level(file: &File, model: Bpe, ids: ModelIds) -> Result<GgufTranslation, TextError> {
    let pre = pre_name(&file.pre_tokenizer, model.ignore_merges).ok_or_else(|| {
        in_gguf(
            "the pre-tokenizer",
            &file.pre_tokenizer,
            "one that tokenizer.ggml.pre names",
        )
    })?;
    let entries = model.vocab.iter().map(|(text, id)| (text.as_str(), *id));
    let (tokens, token_types) = tokens(entries, file, ids.rows, |_| GgufTokenKind::Normal)?;
    let unsaid = (!file.normalizer.is_null()).then(|| normalizer(&file.normalizer));
    Ok(GgufTranslation {
        vocabulary: GgufVocabulary {
            model: "gpt2".to_owned(),
            pre: Some(pre.to_owned()),
            tokens,
            token_types,
            merges: lines(model.pairs()?),
            ..GgufVocabulary::default()
        },
        unsaid: unsaid.into_iter().collect(),
    })
}

fn spaced(file: &File, model: Bpe, ids: ModelIds) -> Result<GgufTranslation, TextError> {
    let unknown = model.unk_token.clone();
    let kind = |text: &str| match byte_of(text) {
        _ if unknown.as_deref() == Some(text) => GgufTokenKind::Unknown,
        Some(_) => GgufTokenKind::Byte,
        None => GgufTokenKind::Normal,
    };
    let entries = model.vocab.iter().map(|(text, id)| (text.as_str(), *id));
    let (tokens, token_types) = tokens(entries, file, ids.rows, kind)?;
    let (prefix, mut unsaid) = space_before(file)?;
    if model.ignore_merges {
        unsaid.push("that a piece which is a token is not merged".to_owned());
    }
    let unknown = unknown.and_then(|text| model.vocab.get(&text).copied());
    let merges = model.pairs()?;
    let vocabulary = GgufVocabulary {
        add_space_prefix: Some(prefix),
        unknown,
        ..GgufVocabulary::default()
    };
    let vocabulary = match scores_of(&tokens, &token_types, &merges) {
        Some(scored) => {
            if !scored.same_order {
                unsaid.push("which of the merges that make one token comes first".to_owned());
            }
            GgufVocabulary {
                model: "llama".to_owned(),
                pre: Some("default".to_owned()),
                scores: scored.scores,
                ..vocabulary
            }
        }
        None => GgufVocabulary {
            model: "gemma4".to_owned(),
            merges: lines(merges),
            ..vocabulary
        },
    };
    Ok(GgufTranslation {
        vocabulary: GgufVocabulary {
            tokens,
            token_types,
            ..vocabulary
        },
        unsaid,
    })
}

/// Whether a space is put before each text, and what of the rule GGUF has no word for.
fn space_before(file: &File) -> Result<(bool, Vec<String>), TextError> {
    let normalizers = pipeline_steps(&file.normalizer, "normalizers")?;
    let cuts = pipeline_steps(&file.pre_tokenizer, "pretokenizers")?;
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let prepend = json!({"type": "Prepend", "prepend": "▁"});
    let mut unsaid = Vec::new();
    let normalizes = match normalizers.as_slice() {
        [one, two] if **one == prepend && **two == replace => Some(true),
        [one] if **one == replace => Some(false),
        [] => None,
        _ => {
            unsaid.push(normalizer(&file.normalizer));
            Some(normalizers.contains(&&prepend))
        }
    };
    // Cutting at spaces cuts nothing where they were replaced before.
    let cuts = cuts
        .into_iter()
        .filter(|cut| normalizes.is_none() || cut["type"] != "Split" || cut["pattern"]["String"] != " ");
    let mut prefix = normalizes.unwrap_or(false);
    for cut in cuts {
        let scheme = cut["prepend_scheme"].as_str();
        prefix |= cut["type"] == "Metaspace" && scheme != Some("never");
        if scheme != Some("never") || cut["split"] != false {
            unsaid.push(format!("the pre-tokenizer {}", shown(cut)));
        }
    }
    Ok((prefix, unsaid))
}

pub(super) fn normalizer(found: &Value) -> String {
    format!("the normalizer {}", shown(found))
}

fn shown(step: &Value) -> &str {
    step["type"].as_str().unwrap_or("without a type")
}

fn lines(merges: Vec<(String, String)>) -> Vec<String> {
    let line = |(left, right)| format!("{left} {right}");
    merges.into_iter().map(line).collect()
}
