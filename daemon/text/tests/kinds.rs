//! SentencePiece's BPE, Unigram and WordPiece: ids are those of the Python package `tokenizers`, from `tokenizer.json` and from a
//! GGUF vocabulary alike.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that is not as expected fails the test"
)]

mod common;

use std::sync::Arc;

use jiff::ZonedDateTime;
use mains_text::{
    ChatInput, ChatTemplate, ControlTokens, Detokenizer, GgufTokenKind, GgufVocabulary, ModelIds, TextError,
    Tokenizer,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const KINDS: [&str; 7] = [
    "spm",
    "spm first",
    "spm bare",
    "unigram",
    "fallback",
    "wordpiece",
    "wordpiece cased",
];

fn kinds() -> Value {
    serde_json::from_slice(&common::fixture("kinds.json")).unwrap()
}

/// The `tokenizer.json` of a kind.
fn file(kind: &str) -> Value {
    let name = kind.split(' ').next().unwrap();
    let mut file: Value = serde_json::from_slice(&common::fixture(&format!("{name}.json"))).unwrap();
    let kinds = kinds();
    let changes = kinds["kinds"][kind]["changes"].as_object().unwrap();
    for (key, value) in changes {
        file[key] = value.clone();
    }
    file
}

fn from_json(kind: &str) -> Tokenizer {
    Tokenizer::from_json(file(kind).to_string().as_bytes()).unwrap()
}

/// The vocabulary of a file by id, with its kinds of tokens.
fn tokens(file: &Value) -> (Vec<String>, Vec<GgufTokenKind>) {
    let mut entries: Vec<(u64, String)> = match &file["model"]["vocab"] {
        Value::Object(vocabulary) => vocabulary
            .iter()
            .map(|(text, id)| (id.as_u64().unwrap(), text.clone()))
            .collect(),
        pieces => (0..)
            .zip(pieces.as_array().unwrap())
            .map(|(id, piece)| (id, piece[0].as_str().unwrap().to_owned()))
            .collect(),
    };
    entries.sort_unstable();
    let added = file["added_tokens"].as_array().unwrap();
    let kind = |text: &str| match text {
        "<unk>" | "[UNK]" => GgufTokenKind::Unknown,
        _ if added.iter().any(|token| token["content"] == text) => GgufTokenKind::Control,
        _ if text.starts_with("<0x") => GgufTokenKind::Byte,
        _ => GgufTokenKind::Normal,
    };
    entries
        .into_iter()
        .map(|(_, text)| (text.clone(), kind(&text)))
        .unzip()
}

/// The vocabulary of a kind as a GGUF file has it; none where GGUF has no word for its spaces.
fn gguf(kind: &str) -> Option<GgufVocabulary> {
    let file = file(kind);
    let (mut tokens, token_types) = tokens(&file);
    let numbers = |value: &Value| -> Vec<f32> { serde_json::from_value(value.clone()).unwrap() };
    let base = GgufVocabulary {
        unknown: Some(0),
        bos: Some(1),
        eos: Some(2),
        ..GgufVocabulary::default()
    };
    let vocabulary = match kind {
        "spm" | "spm bare" => GgufVocabulary {
            model: "llama".to_owned(),
            scores: numbers(&kinds()["scores"]),
            add_space_prefix: (kind == "spm bare").then_some(false),
            ..base
        },
        "unigram" | "fallback" => GgufVocabulary {
            model: "t5".to_owned(),
            scores: file["model"]["vocab"]
                .as_array()
                .unwrap()
                .iter()
                .map(|piece| numbers(&json!([piece[1]]))[0])
                .collect(),
            remove_extra_whitespaces: Some(kind == "unigram"),
            precompiled_charsmap: match kind {
                "unigram" => serde_json::from_value(kinds()["charsmap"].clone()).unwrap(),
                _ => Vec::new(),
            },
            ..base
        },
        "wordpiece" | "wordpiece cased" => {
            for (text, kind) in tokens.iter_mut().zip(&token_types) {
                if *kind == GgufTokenKind::Normal {
                    *text = text
                        .strip_prefix("##")
                        .map_or_else(|| format!("▁{text}"), str::to_owned);
                }
            }
            GgufVocabulary {
                model: "bert".to_owned(),
                unknown: Some(1),
                bos: Some(2),
                eos: None,
                separator: Some(3),
                lowercase: (kind == "wordpiece cased").then_some(false),
                ..base
            }
        }
        _ => return None,
    };
    Some(GgufVocabulary {
        tokens,
        token_types,
        ..vocabulary
    })
}

/// The vocabulary of `spm bare` with the merges in the file, as Gemma 4 has it.
fn with_merges() -> GgufVocabulary {
    let file = file("spm bare");
    let merges = file["model"]["merges"].as_array().unwrap();
    let line = |pair: &Value| format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
    GgufVocabulary {
        model: "gemma4".to_owned(),
        scores: Vec::new(),
        merges: merges.iter().map(line).collect(),
        ..gguf("spm bare").unwrap()
    }
}

fn strings(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

fn ids(value: &Value) -> Vec<Vec<u32>> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The ids of a text that the template writes.
fn plain(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let source = format!("{{% raw %}}{text}{{% endraw %}}");
    let now: ZonedDateTime = "2026-11-24T12:00:00+00:00[UTC]".parse().unwrap();
    let template = ChatTemplate::new(&source, None, None, tokenizer).unwrap();
    let input = ChatInput {
        messages: r#"[{"role": "user", "content": ""}]"#,
        tools: None,
        variables: None,
        add_generation_prompt: false,
        continue_final_message: false,
        now: &now,
    };
    tokenizer
        .encode_rendered(&template.render(&input).unwrap())
        .unwrap()
}

fn both(kind: &str) -> Vec<Tokenizer> {
    let mut all = vec![from_json(kind)];
    all.extend(gguf(kind).map(|vocabulary| Tokenizer::from_gguf(vocabulary).unwrap()));
    if kind == "spm bare" {
        all.push(Tokenizer::from_gguf(with_merges()).unwrap());
    }
    all.extend(translated(kind).map(|vocabulary| Tokenizer::from_gguf(vocabulary).unwrap()));
    all
}

/// The vocabulary of a kind as it is translated; none where GGUF's keys do not say everything.
fn translated(kind: &str) -> Option<GgufVocabulary> {
    let file = file(kind).to_string();
    let ids = ModelIds {
        rows: from_json(kind).vocabulary_len(),
        bos: None,
        eos: None,
    };
    let translation = GgufVocabulary::from_json(file.as_bytes(), ids).unwrap();
    translation.unsaid.is_empty().then_some(translation.vocabulary)
}

#[test]
fn ids_are_those_of_the_reference() {
    let kinds = kinds();
    let texts = strings(&kinds["texts"]);
    assert!(texts.len() > 150);
    for kind in KINDS {
        for (number, tokenizer) in both(kind).iter().enumerate() {
            let around = tokenizer.encode_text("").unwrap();
            for (text, expected) in texts.iter().zip(ids(&kinds["kinds"][kind]["ids"])) {
                let mut got = tokenizer.encode_text(text).unwrap();
                // Begin and end are there once each, whatever the text.
                assert!(got.len() >= around.len(), "{kind} {number} {text:?}");
                let after = around.len() - usize::from(starts(kind));
                got.drain(..usize::from(starts(kind)));
                got.truncate(got.len() - after);
                assert_eq!(got, expected, "{kind} {number} {text:?}");
            }
        }
    }
}

/// Whether a text prompt begins with a token of its own.
fn starts(kind: &str) -> bool {
    !matches!(kind, "unigram" | "fallback")
}

#[test]
fn control_tokens_of_the_template_stand_between_texts() {
    let kinds = kinds();
    let sources = strings(&kinds["rendered"]);
    for kind in ["spm", "spm first", "spm bare", "unigram", "fallback"] {
        for (number, tokenizer) in both(kind).iter().enumerate() {
            for (source, expected) in sources.iter().zip(ids(&kinds["kinds"][kind]["rendered"])) {
                assert_eq!(plain(tokenizer, source), expected, "{kind} {number} {source:?}");
            }
        }
    }
}

#[test]
fn begin_and_end_go_around_a_text_once() {
    let kinds = kinds();
    for kind in KINDS {
        let expected: Vec<u32> = serde_json::from_value(kinds["kinds"][kind]["around"].clone()).unwrap();
        for tokenizer in both(kind) {
            assert_eq!(tokenizer.encode_text("a").unwrap(), expected, "{kind}");
        }
    }
    // A template that writes its own begin gets no second one, and a user's does not count.
    let tokenizer = from_json("spm");
    assert_eq!(plain(&tokenizer, "<s>a").iter().filter(|id| **id == 1).count(), 1);
    assert_eq!(
        tokenizer
            .encode_text("<s>a")
            .unwrap()
            .iter()
            .filter(|id| **id == 1)
            .count(),
        1
    );
}

#[test]
fn both_forms_have_the_same_bytes() {
    for kind in ["spm", "spm bare", "unigram", "fallback", "wordpiece"] {
        let all = both(kind);
        for other in &all[1..] {
            for id in 0..u32::try_from(all[0].vocabulary_len()).unwrap() + 1 {
                assert_eq!(other.token_bytes(id), all[0].token_bytes(id), "{kind} {id}");
                assert_eq!(other.is_control(id), all[0].is_control(id), "{kind} {id}");
            }
        }
    }
    let tokenizer = from_json("spm");
    let newline = tokenizer.token_id("<0x0A>").unwrap();
    assert_eq!(tokenizer.token_bytes(newline), Some(&b"\n"[..]));
}

#[test]
fn translation_says_what_gguf_leaves_out() {
    let unsaid = |kind: &str, change: &dyn Fn(&mut Value)| {
        let mut file = file(kind);
        change(&mut file);
        let ids = ModelIds {
            rows: from_json(kind).vocabulary_len(),
            bos: None,
            eos: None,
        };
        let translation = GgufVocabulary::from_json(file.to_string().as_bytes(), ids).unwrap();
        (translation.vocabulary.model, translation.unsaid.join(", "))
    };
    let nothing: &dyn Fn(&mut Value) = &|_| {};
    for (kind, model) in [
        ("spm", "llama"),
        ("spm bare", "llama"),
        ("unigram", "t5"),
        ("fallback", "t5"),
        ("wordpiece cased", "bert"),
    ] {
        assert_eq!(unsaid(kind, nothing), (model.to_owned(), String::new()), "{kind}");
    }
    let metaspace = "the pre-tokenizer Metaspace".to_owned();
    assert_eq!(unsaid("spm first", nothing), ("llama".to_owned(), metaspace));
    // No scores make one way to merge a token and not the other.
    let fewer = unsaid("spm", &|file| {
        let merges = file["model"]["merges"].as_array_mut().unwrap();
        let whole = |pair: &Value| format!("{}{}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        let twice = (1..merges.len()).find(|at| whole(&merges[*at]) == whole(&merges[at - 1]));
        merges.remove(twice.unwrap());
    });
    assert_eq!(fewer, ("gemma4".to_owned(), String::new()));
    let strips = unsaid("wordpiece", &|file| {
        file["added_tokens"][4]["lstrip"] = true.into();
    });
    assert!(strips.1.contains("[MASK]"), "{strips:?}");
}

#[test]
fn a_text_that_spells_a_byte_token_is_no_byte() {
    for tokenizer in both("fallback") {
        let newline = tokenizer.token_id("<0x0A>");
        assert!(tokenizer.encode_text("a\n").unwrap().contains(&13));
        assert!(
            !tokenizer.encode_text("<0x0A>").unwrap().contains(&13),
            "{newline:?}"
        );
    }
}

fn refused(result: Result<Tokenizer, TextError>) -> String {
    let error = result.unwrap_err();
    assert!(!error.is_invalid_request());
    error.to_string()
}

fn changed(kind: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut file = file(kind);
    change(&mut file);
    refused(Tokenizer::from_json(file.to_string().as_bytes()))
}

#[test]
fn what_does_not_go_together_is_refused_by_name() {
    let decoder = changed("spm", |file| file["decoder"] = json!({"type": "ByteLevel"}));
    assert!(decoder.contains("the decoder `ByteLevel`"), "{decoder}");
    let spaces = changed("spm", |file| file["normalizer"] = Value::Null);
    assert!(spaces.contains("the pre-tokenizer `none`"), "{spaces}");
    let bytes = changed("spm", |file| {
        file["model"]["vocab"].as_object_mut().unwrap().remove("<0x0A>");
    });
    assert!(bytes.contains("byte 0x0A"), "{bytes}");
    let fallback = changed("unigram", |file| file["model"]["byte_fallback"] = true.into());
    assert!(fallback.contains("no token for the byte"), "{fallback}");
    let unknown = changed("unigram", |file| file["model"]["unk_id"] = 100_000.into());
    assert!(unknown.contains("unk_id"), "{unknown}");
    let words = changed("wordpiece", |file| {
        file["pre_tokenizer"] = json!({"type": "ByteLevel"})
    });
    assert!(words.contains("`ByteLevel`"), "{words}");
    let long = changed("wordpiece", |file| {
        file["model"]["max_input_chars_per_word"] = 1_000_000.into()
    });
    assert!(long.contains("1000000 characters"), "{long}");
    let charsmap = changed("unigram", |file| {
        let steps = file["normalizer"]["normalizers"].as_array_mut().unwrap();
        steps[0]["precompiled_charsmap"] = "AAAA/wAA".into();
    });
    assert!(charsmap.contains("precompiled_charsmap"), "{charsmap}");
}

#[test]
fn vocabularies_that_contradict_themselves_are_refused() {
    let mut scores = gguf("spm").unwrap();
    scores.scores.pop();
    assert!(refused(Tokenizer::from_gguf(scores)).contains("scores"));
    let mut charsmap = gguf("unigram").unwrap();
    charsmap.precompiled_charsmap.truncate(100);
    assert!(refused(Tokenizer::from_gguf(charsmap)).contains("precompiled_charsmap"));
    let mut unknown = gguf("wordpiece").unwrap();
    unknown.unknown = None;
    assert!(refused(Tokenizer::from_gguf(unknown)).contains("unknown_token_id"));
    let mut bytes = gguf("unigram").unwrap();
    bytes.token_types[5] = GgufTokenKind::Byte;
    assert!(refused(Tokenizer::from_gguf(bytes)).contains("no token for the byte"));
    // What stands for the unknown is no word as well.
    let mut both = gguf("unigram").unwrap();
    both.token_types[0] = GgufTokenKind::UserDefined;
    assert!(refused(Tokenizer::from_gguf(both)).contains("another id than 0"));
}

#[test]
fn long_runs_of_spaces_and_long_words_are_within_reach() {
    for kind in KINDS {
        let tokenizer = from_json(kind);
        for piece in [" ", "\n", "a", "你", "\u{1F600}"] {
            assert!(
                tokenizer.encode_text(&piece.repeat(50_000)).is_ok(),
                "{kind} {piece:?}"
            );
        }
    }
}

thread_local! {
    static SPM: Arc<Tokenizer> = Arc::new(from_json("spm bare"));
    static OTHERS: [Tokenizer; 3] = [from_json("unigram"), from_json("wordpiece"), from_json("spm first")];
}

proptest! {
    #[test]
    fn spaces_and_bytes_lose_nothing(
        pieces in prop::collection::vec(prop_oneof![".{0,6}", Just("<s>".to_owned()), Just("<0x0A>".to_owned()), "[ \n\t]{0,9}"], 0..10),
    ) {
        let tokenizer = SPM.with(Arc::clone);
        // `▁` is how the vocabulary writes a space: that one comes back as one.
        let text = pieces.concat().replace('▁', "_");
        let ids = tokenizer.encode_text(&text).unwrap();
        let ids = &ids[1..];
        prop_assert!(!ids.iter().any(|id| tokenizer.is_control(*id)));
        let mut detokenizer = Detokenizer::new(tokenizer, ControlTokens::Hidden);
        let mut back: String = ids.iter().map(|id| detokenizer.push(*id)).collect();
        back.push_str(&detokenizer.finish());
        prop_assert_eq!(back, text);
    }

    #[test]
    fn no_text_makes_a_control_token_but_the_unknown(
        pieces in prop::collection::vec(
            prop_oneof![".{0,4}", Just("<s>".to_owned()), Just("</s>".to_owned()), Just("[CLS]".to_owned()), Just("[MASK]".to_owned())], 0..8),
    ) {
        let text = pieces.concat();
        OTHERS.with(|others| {
            for tokenizer in others {
                let around = tokenizer.encode_text("").unwrap().len();
                let ids = tokenizer.encode_text(&text).unwrap();
                let unknown = tokenizer.token_id("<unk>").or_else(|| tokenizer.token_id("[UNK]"));
                let controls = ids.iter().filter(|id| tokenizer.is_control(**id) && Some(**id) != unknown);
                prop_assert_eq!(controls.count(), around);
            }
            Ok(())
        })?;
    }
}
