//! Unigram (`t5`): pieces with scores, and what SentencePiece does to spaces.

use super::super::gguf::{GgufTokenKind, GgufVocabulary};
use super::super::json::{File, Unigram, charsmap, parse};
use super::super::pipeline_steps;
use super::super::spelling::byte_of;
use super::bpe::normalizer;
use super::{GgufTranslation, ModelIds, tokens};
use crate::TextError;

pub(super) fn translate(file: &File, ids: ModelIds) -> Result<GgufTranslation, TextError> {
    let model: Unigram = parse("model", file.model.clone())?;
    let unknown = model
        .unk_id
        .and_then(|id| model.vocab.get(id))
        .map(|(text, _)| text.clone());
    let kind = |text: &str| match byte_of(text) {
        _ if unknown.as_deref() == Some(text) => GgufTokenKind::Unknown,
        Some(_) if model.byte_fallback => GgufTokenKind::Byte,
        _ => GgufTokenKind::Normal,
    };
    let entries = model.vocab.iter().map(|(text, _)| text.as_str()).zip(0..);
    let (tokens, token_types) = tokens(entries, file, ids.rows, kind)?;
    let mut unsaid = Vec::new();
    // GGUF has scores in float32, as SentencePiece's own files.
    #[expect(clippy::cast_possible_truncation, reason = "what is lost is told")]
    let mut scores: Vec<f32> = model.vocab.iter().map(|(_, score)| *score as f32).collect();
    // The JSON parser may miss the nearest float64 by one.
    let same = |(score, (_, own)): (&f32, &(String, f64))| {
        (f64::from(*score) - own).abs() <= own.abs() * 4.0 * f64::EPSILON
    };
    if !scores.iter().zip(&model.vocab).all(same) {
        unsaid.push("scores beyond float32".to_owned());
    }
    scores.resize(ids.rows, 0.0);
    let spaces = Spaces::of(file, &mut unsaid)?;
    Ok(GgufTranslation {
        vocabulary: GgufVocabulary {
            model: "t5".to_owned(),
            pre: Some("default".to_owned()),
            tokens,
            token_types,
            scores,
            unknown: model.unk_id.and_then(|id| u32::try_from(id).ok()),
            add_space_prefix: Some(spaces.prefix),
            remove_extra_whitespaces: Some(spaces.squeeze),
            precompiled_charsmap: spaces.charsmap,
            ..GgufVocabulary::default()
        },
        unsaid,
    })
}

/// What becomes of spaces.
struct Spaces {
    charsmap: Vec<u8>,
    /// Of several spaces one is left, of those at the ends none.
    squeeze: bool,
    /// A text begins with a space.
    prefix: bool,
}

impl Spaces {
    fn of(file: &File, unsaid: &mut Vec<String>) -> Result<Self, TextError> {
        let mut spaces = Self {
            charsmap: Vec::new(),
            squeeze: false,
            prefix: true,
        };
        let mut steps = pipeline_steps(&file.normalizer, "normalizers")?
            .into_iter()
            .peekable();
        if let Some(first) = steps.next_if(|step| step["type"] == "Precompiled") {
            spaces.charsmap = charsmap(first)?;
        }
        let strips = |step: &&serde_json::Value| step["type"] == "Strip" && step["strip_right"] == true;
        let squeezes =
            |step: &&serde_json::Value| step["type"] == "Replace" && step["pattern"]["Regex"] == " {2,}";
        let strip = steps.next_if(strips).is_some();
        spaces.squeeze = steps.next_if(squeezes).is_some();
        if steps.peek().is_some() || strip != spaces.squeeze {
            unsaid.push(normalizer(&file.normalizer));
        }
        for cut in pipeline_steps(&file.pre_tokenizer, "pretokenizers")? {
            let kind = cut["type"].as_str().unwrap_or("without a type");
            let scheme = cut["prepend_scheme"].as_str().unwrap_or("always");
            match (kind, scheme) {
                ("Metaspace", "never") => spaces.prefix = false,
                ("Metaspace", "always") => {}
                _ => {
                    spaces.squeeze |= kind == "WhitespaceSplit";
                    unsaid.push(format!("the pre-tokenizer {kind}"));
                }
            }
        }
        Ok(spaces)
    }
}
