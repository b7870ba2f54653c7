//! The fixtures that the scripts in `fixtures` make, and the pilot's tokenizer in both forms.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::PathBuf;

use mains_text::{GgufTokenKind, GgufVocabulary, Tokenizer};
use serde_json::Value;

/// The bytes of a fixture.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A fixture's rows.
pub(crate) fn rows(name: &str) -> Vec<Value> {
    serde_json::from_slice(&fixture(name)).unwrap()
}

/// The ids in a row.
pub(crate) fn ids(row: &Value) -> Vec<u32> {
    serde_json::from_value(row["ids"].clone()).unwrap()
}

/// The pilot's tokenizer from `tokenizer.json`.
pub(crate) fn from_json() -> Tokenizer {
    Tokenizer::from_json(&fixture("pilot_tokenizer.json")).unwrap()
}

/// The pilot's vocabulary as a GGUF file has it.
pub(crate) fn gguf_vocabulary() -> GgufVocabulary {
    const UNUSED: usize = 5;
    let file: Value = serde_json::from_slice(&fixture("pilot_tokenizer.json")).unwrap();
    let vocabulary = file["model"]["vocab"].as_object().unwrap();
    let added = file["added_tokens"].as_array().unwrap();
    let highest = vocabulary.values().map(|id| id.as_u64().unwrap()).max().unwrap();
    let len = usize::try_from(highest).unwrap() + 1 + UNUSED;
    let mut tokens: Vec<String> = (0..len).map(|id| format!("[unused{id}]")).collect();
    let mut token_types = vec![GgufTokenKind::Unused; len];
    for (text, id) in vocabulary {
        let id = usize::try_from(id.as_u64().unwrap()).unwrap();
        (tokens[id], token_types[id]) = (text.clone(), GgufTokenKind::Normal);
    }
    for token in added {
        let id = usize::try_from(token["id"].as_u64().unwrap()).unwrap();
        let special = token["special"].as_bool().unwrap();
        let kind = if special {
            GgufTokenKind::Control
        } else {
            GgufTokenKind::UserDefined
        };
        (tokens[id], token_types[id]) = (token["content"].as_str().unwrap().to_owned(), kind);
    }
    let merge = |pair: &Value| format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
    GgufVocabulary {
        model: "gpt2".to_owned(),
        pre: Some("qwen2".to_owned()),
        tokens,
        token_types,
        merges: file["model"]["merges"]
            .as_array()
            .unwrap()
            .iter()
            .map(merge)
            .collect(),
        bos: Some(0),
        eos: Some(2),
        add_bos: Some(false),
        ..GgufVocabulary::default()
    }
}
