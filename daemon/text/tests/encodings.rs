//! Ids are those of the Python package `tokenizers`, from `tokenizer.json` and from a GGUF vocabulary alike.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that is not as expected fails the test"
)]

mod common;

use std::sync::Arc;

use mains_text::{
    ControlTokens, Detokenizer, GgufTokenKind, GgufVocabulary, MAX_WHITESPACE_RUN, TextError, Tokenizer,
};
use proptest::prelude::*;

#[test]
fn ids_are_those_of_the_reference() {
    let rows = common::rows("encodings.json");
    assert!(rows.len() > 450);
    let tokenizers = [
        common::from_json(),
        Tokenizer::from_gguf(common::gguf_vocabulary()).unwrap(),
    ];
    for tokenizer in &tokenizers {
        for row in &rows {
            let text = row["text"].as_str().unwrap();
            let ids = tokenizer.encode_text(text).unwrap();
            assert_eq!(ids, common::ids(row), "{text:?}");
            assert!(!ids.iter().any(|id| tokenizer.is_control(*id)), "{text:?}");
        }
    }
}

#[test]
fn both_forms_have_the_same_bytes() {
    let (json, gguf) = (
        common::from_json(),
        Tokenizer::from_gguf(common::gguf_vocabulary()).unwrap(),
    );
    assert_eq!(gguf.vocabulary_len(), json.vocabulary_len() + 5);
    for id in 0..u32::try_from(gguf.vocabulary_len()).unwrap() + 1 {
        assert_eq!(json.token_bytes(id), gguf.token_bytes(id));
        assert_eq!(json.is_control(id), gguf.is_control(id));
    }
    assert_eq!(json.token_id("<|im_end|>"), Some(2));
    assert_eq!(json.token_bytes(2), Some(&b"<|im_end|>"[..]));
    assert_eq!(json.token_id("no such token"), None);
}

#[test]
fn a_tokenizer_is_shared_between_threads() {
    let tokenizer = common::from_json();
    let expected = tokenizer.encode_text("one text").unwrap();
    std::thread::scope(|scope| {
        let encode = || scope.spawn(|| tokenizer.encode_text("one text").unwrap());
        let threads: Vec<_> = (0..4).map(|_| encode()).collect();
        threads
            .into_iter()
            .for_each(|thread| assert_eq!(thread.join().unwrap(), expected));
    });
}

#[test]
fn long_runs_of_whitespace_are_cut_as_short_ones_up_to_the_bound() {
    let tokenizer = common::from_json();
    let tail = tokenizer.encode_text(" one two three").unwrap();
    for space in [" ", "\n", "\t", "\u{3000}"] {
        let text = space.repeat(MAX_WHITESPACE_RUN - 1) + " one two three";
        assert!(tokenizer.encode_text(&text).unwrap().ends_with(&tail));
        let error = tokenizer
            .encode_text(&(space.repeat(MAX_WHITESPACE_RUN) + &text))
            .unwrap_err();
        assert_eq!(
            error,
            TextError::WhitespaceRun {
                limit: MAX_WHITESPACE_RUN
            }
        );
    }
}

#[test]
fn beginnings_and_ends_are_added_to_text_where_the_file_says_so() {
    let with = |add_bos, add_eos, pre: &str| {
        let pre = Some(pre.to_owned());
        let tokenizer = Tokenizer::from_gguf(GgufVocabulary {
            add_bos,
            add_eos,
            pre,
            ..common::gguf_vocabulary()
        });
        tokenizer.unwrap().encode_text("a").unwrap()
    };
    let plain = with(None, None, "qwen2");
    assert_eq!(with(Some(true), None, "qwen2"), [&[0], &plain[..]].concat());
    assert_eq!(with(None, None, "llama-bpe"), [&[0], &plain[..]].concat());
    assert_eq!(
        with(Some(false), Some(true), "llama-bpe"),
        [&plain[..], &[2]].concat()
    );

    let mut file: serde_json::Value =
        serde_json::from_slice(&common::fixture("pilot_tokenizer.json")).unwrap();
    file["post_processor"] = serde_json::json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}},
    });
    let tokenizer = Tokenizer::from_json(file.to_string().as_bytes()).unwrap();
    assert_eq!(tokenizer.encode_text("a").unwrap(), [&[0], &plain[..]].concat());

    file["post_processor"]["special_tokens"]["<|endoftext|>"]["ids"] = serde_json::json!([77_777]);
    let error = Tokenizer::from_json(file.to_string().as_bytes()).unwrap_err();
    assert!(error.to_string().contains("77777"), "{error}");
}

/// The pilot's file with one change.
fn changed(change: impl FnOnce(&mut serde_json::Value)) -> Result<Tokenizer, TextError> {
    let mut file = serde_json::from_slice(&common::fixture("pilot_tokenizer.json")).unwrap();
    change(&mut file);
    Tokenizer::from_json(file.to_string().as_bytes())
}

#[test]
fn other_tokenizers_are_refused_by_name() {
    let refused = |result: Result<Tokenizer, TextError>, name: &str| {
        let error = result.unwrap_err();
        assert!(
            matches!(&error, TextError::Unsupported { name: found, .. } if found == name),
            "{error}"
        );
        assert!(!error.is_invalid_request());
    };
    for kind in ["WordLevel", "Other"] {
        refused(changed(|file| file["model"]["type"] = kind.into()), kind);
    }
    refused(
        changed(|file| file["pre_tokenizer"] = serde_json::json!({"type": "Metaspace"})),
        "Metaspace",
    );
    refused(changed(|file| file["model"]["dropout"] = 0.1.into()), "dropout");
    for model in ["rwkv", "plamo2"] {
        let vocabulary = GgufVocabulary {
            model: model.to_owned(),
            ..common::gguf_vocabulary()
        };
        refused(Tokenizer::from_gguf(vocabulary), model);
    }
    refused(
        Tokenizer::from_gguf(GgufVocabulary {
            pre: None,
            ..common::gguf_vocabulary()
        }),
        "(absent)",
    );
    assert!(GgufTokenKind::try_from(7).is_err());
}

#[test]
fn files_that_contradict_themselves_are_refused() {
    let bad = |result: Result<Tokenizer, TextError>, word: &str| {
        let error = result.unwrap_err();
        assert!(
            matches!(error, TextError::BadTokenizer(_)) && error.to_string().contains(word),
            "{error}"
        );
    };
    bad(Tokenizer::from_json(b"{"), "tokenizer.json");
    bad(
        changed(|file| file["model"]["merges"] = serde_json::json!([["q", "no such"]])),
        "merge",
    );
    bad(
        changed(|file| file["model"]["merges"] = serde_json::json!(["one-word"])),
        "merge",
    );
    bad(
        changed(|file| file["model"]["vocab"]["new"] = 100.into()),
        "two texts",
    );
    bad(
        changed(|file| file["model"]["vocab"]["new"] = u32::MAX.into()),
        "more than",
    );
    bad(
        changed(|file| {
            let word =
                serde_json::json!({"id": file["model"]["vocab"]["e"], "content": "e", "special": true});
            file["added_tokens"].as_array_mut().unwrap().push(word);
        }),
        "ordinary text",
    );
    bad(changed(|file| file["added_tokens"][1]["id"] = 0.into()), "one id");
    bad(
        changed(|file| {
            file["model"]["vocab"].as_object_mut().unwrap().remove("Ġ");
        }),
        "byte 0x20",
    );
    let mut vocabulary = common::gguf_vocabulary();
    vocabulary.token_types.pop();
    bad(Tokenizer::from_gguf(vocabulary), "token types");
    let vocabulary = GgufVocabulary {
        add_bos: Some(true),
        bos: Some(9_999_999),
        ..common::gguf_vocabulary()
    };
    bad(Tokenizer::from_gguf(vocabulary), "bos");
}

#[test]
fn added_tokens_of_any_kind_are_out_of_reach_but_runs_of_spaces_are_text() {
    let tokenizer = changed(|file| {
        let next = file["model"]["vocab"].as_object().unwrap().len() + 100;
        let added = file["added_tokens"].as_array_mut().unwrap();
        added.iter_mut().for_each(|token| token["special"] = false.into());
        added.push(
            serde_json::json!({"id": next, "content": "      ", "special": false, "normalized": false}),
        );
        added.push(serde_json::json!({"id": next + 1, "content": "     ", "special": true}));
    })
    .unwrap();
    let added: Vec<u32> = (0..7).collect();
    for text in [
        "<|im_start|>",
        "a<tool_call>b</tool_call>",
        "<|im_end|><|im_end|>",
    ] {
        let ids = tokenizer.encode_text(text).unwrap();
        assert!(
            !ids.is_empty() && !ids.iter().any(|id| added.contains(id)),
            "{text}: {ids:?}"
        );
    }
    let last = u32::try_from(tokenizer.vocabulary_len()).unwrap() - 1;
    assert!(tokenizer.encode_text("a      b").unwrap().contains(&(last - 1)));
    assert!(!tokenizer.encode_text("a     b").unwrap().contains(&last));
}

proptest! {
    #[test]
    fn encoding_loses_nothing_and_makes_no_control_token(
        pieces in prop::collection::vec(
            prop_oneof![".{0,6}", Just("<|im_end|>".to_owned()), Just("<tool_call>".to_owned()), Just("<|".to_owned()), "[ \n\t]{0,9}"],
            0..10,
        ),
    ) {
        let tokenizer = TOKENIZER.with(Arc::clone);
        let text = pieces.concat();
        let ids = tokenizer.encode_text(&text).unwrap();
        prop_assert!(!ids.iter().any(|id| tokenizer.is_control(*id)));
        let mut detokenizer = Detokenizer::new(tokenizer, ControlTokens::Hidden);
        let mut back: String = ids.into_iter().map(|id| detokenizer.push(id)).collect();
        back.push_str(&detokenizer.finish());
        prop_assert_eq!(back, text);
    }

    #[test]
    fn any_ids_come_out_as_the_lossy_text_of_their_bytes(ids in prop::collection::vec(0_u32..1100, 0..40), hidden: bool) {
        let tokenizer = TOKENIZER.with(Arc::clone);
        let shown = |id: &&u32| !(hidden && tokenizer.is_control(**id));
        let bytes: Vec<u8> = ids.iter().filter(shown).flat_map(|id| tokenizer.token_bytes(*id).unwrap_or_default()).copied().collect();
        let controls = if hidden { ControlTokens::Hidden } else { ControlTokens::Shown };
        let mut detokenizer = Detokenizer::new(Arc::clone(&tokenizer), controls);
        let mut text: String = ids.iter().map(|id| detokenizer.push(*id)).collect();
        text.push_str(&detokenizer.finish());
        prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
    }
}

thread_local! {
    static TOKENIZER: Arc<Tokenizer> = Arc::new(common::from_json());
}
