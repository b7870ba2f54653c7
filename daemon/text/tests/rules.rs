//! Every rule that cuts text before merging: ids are those of the Python package `tokenizers`, from `tokenizer.json` and from the GGUF
//! vocabulary that is made of it.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that is not as expected fails the test"
)]

mod common;

use mains_text::{GgufVocabulary, ModelIds, Tokenizer};
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_slice(&common::fixture("rules.json")).unwrap()
}

/// The file with a rule's steps.
fn file(fixture: &Value, rule: &Value) -> String {
    let mut file = fixture["file"].clone();
    file["pre_tokenizer"] = rule["pre_tokenizer"].clone();
    file["model"]["ignore_merges"] = rule["ignore_merges"].clone();
    file.to_string()
}

#[test]
fn ids_are_those_of_the_reference_under_every_rule() {
    let fixture = fixture();
    let texts: Vec<String> = serde_json::from_value(fixture["texts"].clone()).unwrap();
    assert!(texts.len() > 130);
    let rules = fixture["rules"].as_array().unwrap();
    for rule in rules {
        let name = rule["name"].as_str().unwrap();
        let file = file(&fixture, rule);
        let json = Tokenizer::from_json(file.as_bytes()).unwrap();
        let ids = ModelIds {
            rows: json.vocabulary_len() + 3,
            bos: None,
            eos: None,
        };
        let translated = GgufVocabulary::from_json(file.as_bytes(), ids).unwrap();
        assert_eq!(translated.vocabulary.pre.as_deref(), Some(name));
        assert_eq!(translated.unsaid, [""; 0], "{name}");
        let gguf = Tokenizer::from_gguf(translated.vocabulary).unwrap();
        let expected: Vec<Vec<u32>> = serde_json::from_value(rule["ids"].clone()).unwrap();
        for (text, expected) in texts.iter().zip(&expected) {
            assert_eq!(json.encode_text(text).unwrap(), *expected, "{name} {text:?}");
            assert_eq!(
                gguf.encode_text(text).unwrap(),
                *expected,
                "{name} in GGUF {text:?}"
            );
        }
    }
}

#[test]
fn every_rule_of_the_table_is_tried() {
    // The error for an unknown name lists the known ones, the names of one rule in a row.
    let fixture = fixture();
    let rules = fixture["rules"].as_array().unwrap();
    let unknown = GgufVocabulary {
        model: "gpt2".to_owned(),
        pre: Some("no such rule".to_owned()),
        ..GgufVocabulary::default()
    };
    let error = Tokenizer::from_gguf(unknown).unwrap_err().to_string();
    let known = error.split_once("known: ").unwrap().1;
    for name in rules.iter().map(|rule| rule["name"].as_str().unwrap()) {
        assert!(known.split(", ").any(|known| known == name), "{name}: {known}");
    }
}
