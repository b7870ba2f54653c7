//! `tokenizer.json` under the keys `tokenizer.ggml.*` (ggml `docs/gguf.md`, section Tokenizer).
//!
//! GGUF says how text is cut by a name alone. A rule without a known name is refused: a wrong name gives wrong ids.

use mains_formats::{Array, HuggingFace, Reason, Value};
use serde_json::Value as Json;

use super::ConvertError;
use super::post_processor::Around;
use crate::models::Model;
use crate::models::text_part::own_config;

/// Names of `tokenizer.ggml.pre` and the expression that each stands for (llama.cpp, `src/llama-vocab.cpp`).
const SPLIT_RULES: [(&str, &str); 1] = [(
    "qwen2",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)];

/// `tokenizer.ggml.token_type` (llama.h, `enum llama_token_type`).
mod token_type {
    pub(super) const NORMAL: i32 = 1;
    pub(super) const CONTROL: i32 = 3;
    pub(super) const USER_DEFINED: i32 = 4;
    pub(super) const UNUSED: i32 = 5;
}

/// The tokenizer, its special tokens and the chat template.
pub(super) fn metadata(
    folder: &HuggingFace,
    model: &Model,
    notes: &mut Vec<String>,
) -> Result<Vec<(String, Value)>, ConvertError> {
    let path = folder.path().join("tokenizer.json");
    let json: Json = serde_json::from_slice(&folder.tokenizer)
        .map_err(|error| Reason::Json(error.to_string()).at(&path))?;
    let bpe = &json["model"];
    check_model(bpe)?;
    if !json["normalizer"].is_null() {
        let kind = json["normalizer"]["type"]
            .as_str()
            .unwrap_or("of an unnamed type");
        notes.push(format!(
            "the tokenizer's normalizer {kind} is left out: GGUF has no word for it"
        ));
    }
    let pre = split_rule(&json["pre_tokenizer"])?;
    let Vocabulary { tokens, types } = Vocabulary::read(&json, model.info.vocabulary as usize)?;
    let around = Around::read(&json["post_processor"], &tokens, model)?;
    let mut entries = vec![
        ("model", Value::String("gpt2".to_owned())),
        ("pre", Value::String(pre.to_owned())),
        ("tokens", Value::Array(Array::String(tokens))),
        ("token_type", Value::Array(Array::I32(types))),
        ("merges", Value::Array(Array::String(merges(&bpe["merges"])?))),
    ];
    entries.extend(special_tokens(folder, model));
    entries.push(("add_bos_token", Value::Bool(around.bos)));
    if around.eos {
        entries.push(("add_eos_token", Value::Bool(true)));
    }
    let mut entries: Vec<_> = entries
        .into_iter()
        .map(|(key, value)| (format!("tokenizer.ggml.{key}"), value))
        .collect();
    if let Some(template) = &folder.chat_template {
        entries.push((
            "tokenizer.chat_template".to_owned(),
            Value::String(template.clone()),
        ));
    }
    Ok(entries)
}

fn check_model(bpe: &Json) -> Result<(), ConvertError> {
    let kind = bpe["type"].as_str().unwrap_or("unnamed");
    if kind != "BPE" {
        return Err(refuse("model", kind, "byte-level BPE"));
    }
    for option in ["byte_fallback", "ignore_merges", "fuse_unk"] {
        if bpe[option] == Json::Bool(true) {
            return Err(refuse("model", &format!("BPE with {option}"), "BPE without it"));
        }
    }
    Ok(())
}

/// The name of the rule that cuts text before merging.
fn split_rule(pre: &Json) -> Result<&'static str, ConvertError> {
    let expected = "the split rule of qwen2, then ByteLevel without its own expression";
    let refused = || refuse("pre-tokenizer", &pre.to_string(), expected);
    let [split, bytes] = pre["pretokenizers"].as_array().map_or(&[][..], Vec::as_slice) else {
        return Err(refused());
    };
    let plain = split["type"] == "Split" && split["behavior"] == "Isolated" && split["invert"] == false;
    let byte_level =
        bytes["type"] == "ByteLevel" && bytes["add_prefix_space"] == false && bytes["use_regex"] == false;
    let expression = split["pattern"]["Regex"].as_str();
    let rule = SPLIT_RULES.iter().find(|(_, known)| Some(*known) == expression);
    rule.filter(|_| plain && byte_level)
        .map(|(name, _)| *name)
        .ok_or_else(refused)
}

/// Tokens by id.
struct Vocabulary {
    tokens: Vec<String>,
    types: Vec<i32>,
}

impl Vocabulary {
    /// Fills ids that no token has, up to the rows of the embedding.
    fn read(json: &Json, rows: usize) -> Result<Self, ConvertError> {
        let mut tokens = vec![None; rows];
        let mut put = |text: &str, id: &Json, kind: i32| {
            let index = id.as_u64().and_then(|id| usize::try_from(id).ok());
            let slot = index.and_then(|index| tokens.get_mut(index));
            let slot = slot.ok_or_else(|| {
                let found = format!("{text:?} with the id {id}, beyond the embedding's {rows} rows");
                refuse("token", &found, "a token with a row of its own")
            })?;
            *slot = Some((text.to_owned(), kind));
            Ok::<_, ConvertError>(())
        };
        let vocabulary = json["model"]["vocab"].as_object();
        for (text, id) in vocabulary.ok_or_else(|| refuse("vocabulary", "no object", "text to id"))? {
            put(text, id, token_type::NORMAL)?;
        }
        for added in json["added_tokens"].as_array().map_or(&[][..], Vec::as_slice) {
            let text = added["content"]
                .as_str()
                .ok_or_else(|| refuse("added token", "without text", "one with"))?;
            let special = added["special"] == Json::Bool(true);
            let kind = if special {
                token_type::CONTROL
            } else {
                token_type::USER_DEFINED
            };
            put(text, &added["id"], kind)?;
        }
        let filled = tokens.into_iter().enumerate().map(|(id, token)| {
            // The text that llama.cpp's converter gives them.
            token.unwrap_or_else(|| (format!("[PAD{id}]"), token_type::UNUSED))
        });
        let (tokens, types) = filled.unzip();
        Ok(Self { tokens, types })
    }
}

/// Merges as `left right`; pairs in newer files, such lines in older ones.
fn merges(json: &Json) -> Result<Vec<String>, ConvertError> {
    let expected = "a pair of texts without spaces";
    let all = json
        .as_array()
        .ok_or_else(|| refuse("list of merges", "missing", "a list"))?;
    let one = |merge: &Json| {
        let line = match merge {
            Json::String(line) => Some(line.clone()),
            Json::Array(pair) => match pair.as_slice() {
                [Json::String(left), Json::String(right)] => Some(format!("{left} {right}")),
                _ => None,
            },
            _ => None,
        };
        line.filter(|line| line.split(' ').count() == 2)
            .ok_or_else(|| refuse("merge", &merge.to_string(), expected))
    };
    all.iter().map(one).collect()
}

/// Ids with a meaning. GGUF has one for the end; the others that end an answer too are listed behind it.
fn special_tokens(folder: &HuggingFace, model: &Model) -> Vec<(&'static str, Value)> {
    let id_in = |config: Option<&Json>, key: &str| {
        let value = config?.get(key)?;
        let first = value.as_array().map_or(Some(value), |list| list.first())?;
        first.as_u64().and_then(|id| u32::try_from(id).ok())
    };
    let generation = folder.generation_config.as_ref();
    let id = |key: &str| id_in(Some(&own_config(&folder.config)), key).or_else(|| id_in(generation, key));
    let mut entries = Vec::new();
    if let Some(eos) = id("eos_token_id") {
        entries.push(("eos_token_id", Value::U32(eos)));
    }
    if model.info.eos.len() > 1 {
        entries.push(("eos_token_ids", Value::Array(Array::U32(model.info.eos.clone()))));
    }
    if let Some(pad) = id("pad_token_id") {
        entries.push(("padding_token_id", Value::U32(pad)));
    }
    if let Some(bos) = model.info.bos {
        entries.push(("bos_token_id", Value::U32(bos)));
    }
    entries
}

/// Says what of the tokenizer is not carried over.
pub(super) fn refuse(what: &'static str, found: &str, expected: &'static str) -> ConvertError {
    /// Characters of a value in an error: enough to recognise it.
    const MAX_SHOWN: usize = 200;
    ConvertError::Tokenizer {
        what,
        found: found.chars().take(MAX_SHOWN).collect(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{SPLIT_RULES, Vocabulary, merges, split_rule};

    #[test]
    fn only_a_known_split_rule_has_a_name() {
        let pre = |expression: &str, use_regex: bool| {
            json!({"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": false},
                {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex},
            ]})
        };
        let known = SPLIT_RULES[0].1;
        assert_eq!(split_rule(&pre(known, false)).unwrap(), "qwen2");
        assert!(split_rule(&pre(known, true)).is_err());
        assert!(split_rule(&pre(&known.replace(r"\p{N}|", r"\p{N}{1,3}|"), false)).is_err());
        assert!(split_rule(&json!({"type": "ByteLevel", "use_regex": true})).is_err());
    }

    #[test]
    fn every_row_of_the_embedding_has_a_token() {
        let json = json!({
            "model": {"vocab": {"a": 0, "b": 2}},
            "added_tokens": [{"id": 2, "content": "b", "special": false}, {"id": 3, "content": "<end>", "special": true}],
        });
        let vocabulary = Vocabulary::read(&json, 5).unwrap();
        assert_eq!(vocabulary.tokens, ["a", "[PAD1]", "b", "<end>", "[PAD4]"]);
        assert_eq!(vocabulary.types, [1, 5, 4, 3, 5]);
        let error = Vocabulary::read(&json, 3).err().unwrap().to_string();
        assert!(
            error.contains("\"<end>\" with the id 3, beyond the embedding's 3 rows"),
            "{error}"
        );
    }

    #[test]
    fn merges_are_lines_of_two() {
        assert_eq!(merges(&json!([["a", "b"], "c d"])).unwrap(), ["a b", "c d"]);
        assert!(merges(&json!([["a b", "c"]])).is_err());
        assert!(merges(&json!([["a"]])).is_err());
    }
}
