//! WordPiece (`bert`): words with `▁` before, what continues one without `##`.

use super::super::gguf::{GgufTokenKind, GgufVocabulary};
use super::super::json::{File, WordPiece, parse};
use super::super::post;
use super::bpe::normalizer;
use super::{GgufTranslation, ModelIds, in_gguf, tokens};
use crate::TextError;

pub(super) fn translate(file: &File, ids: ModelIds) -> Result<GgufTranslation, TextError> {
    let model: WordPiece = parse("model", file.model.clone())?;
    let kind = |text: &str| {
        if text == model.unk_token {
            GgufTokenKind::Unknown
        } else {
            GgufTokenKind::Normal
        }
    };
    let entries = model.vocab.iter().map(|(text, id)| (text.as_str(), *id));
    let (mut tokens, token_types) = tokens(entries, file, ids.rows, kind)?;
    for (text, kind) in tokens.iter_mut().zip(&token_types) {
        if *kind == GgufTokenKind::Normal {
            *text = phantom_space(text, &model.continuing_subword_prefix);
        }
    }
    let settings = &file.normalizer;
    let flag = |name: &str| settings[name].as_bool();
    let mut unsaid = Vec::new();
    if settings["type"] != "BertNormalizer"
        || [flag("clean_text"), flag("handle_chinese_chars")] != [Some(true); 2]
    {
        unsaid.push(normalizer(settings));
    }
    if file.pre_tokenizer["type"] != "BertPreTokenizer" {
        return Err(in_gguf(
            "the pre-tokenizer",
            &file.pre_tokenizer,
            "BertPreTokenizer",
        ));
    }
    if model.max_input_chars_per_word != super::super::gguf::MAX_WORD {
        unsaid.push("how long a word may be".to_owned());
    }
    let lowercase = flag("lowercase").unwrap_or(false);
    let (_, after) = post::around_text(&file.post_processor)?;
    Ok(GgufTranslation {
        vocabulary: GgufVocabulary {
            model: "bert".to_owned(),
            tokens,
            token_types,
            unknown: model.vocab.get(&model.unk_token).copied(),
            separator: after.first().copied(),
            lowercase: Some(lowercase),
            strip_accents: Some(flag("strip_accents").unwrap_or(lowercase)),
            ..GgufVocabulary::default()
        },
        unsaid,
    })
}

/// As llama.cpp's converter writes an entry: brackets keep it as it is.
fn phantom_space(text: &str, prefix: &str) -> String {
    match text.strip_prefix(prefix) {
        Some(rest) if !prefix.is_empty() => rest.to_owned(),
        _ if text.starts_with('[') && text.ends_with(']') => text.to_owned(),
        _ => format!("▁{text}"),
    }
}
