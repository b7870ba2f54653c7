//! Rendered conversations and their ids are those of transformers, for the pilot's template and five others.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that is not as expected fails the test"
)]

mod common;

use jiff::ZonedDateTime;
use mains_text::{ChatInput, ChatTemplate, TextError, Tokenizer};
use serde_json::{Value, json};

/// The time that `make.py` tells the templates.
fn now() -> ZonedDateTime {
    "2026-11-04T09:05:00+00:00[UTC]".parse().unwrap()
}

fn template(name: &str, tokenizer: &Tokenizer) -> ChatTemplate {
    let source = String::from_utf8(common::fixture(&format!("templates/{name}.jinja"))).unwrap();
    ChatTemplate::new(&source, Some("<|endoftext|>"), Some("<|im_end|>"), tokenizer).unwrap()
}

fn ids(template: &ChatTemplate, tokenizer: &Tokenizer, row: &Value) -> Result<(String, Vec<u32>), TextError> {
    let json = |name: &str| Some(row[name].to_string()).filter(|text| text != "null");
    let rendered = template.render(&ChatInput {
        messages: &row["messages"].to_string(),
        tools: json("tools").as_deref(),
        variables: json("variables").as_deref(),
        add_generation_prompt: row["add_generation_prompt"] == true,
        continue_final_message: row["continue_final_message"] == true,
        now: &now(),
    })?;
    Ok((
        rendered.text().into_owned(),
        tokenizer.encode_rendered(&rendered)?,
    ))
}

#[test]
fn conversations_are_those_of_the_reference() {
    let rows = common::rows("conversations.json");
    let tokenizers = [
        common::from_json(),
        Tokenizer::from_gguf(common::gguf_vocabulary()).unwrap(),
    ];
    assert!(rows.len() > 90);
    for (row, tokenizer) in rows
        .iter()
        .flat_map(|row| tokenizers.iter().map(move |tokenizer| (row, tokenizer)))
    {
        let name = row["template"].as_str().unwrap();
        let got = ids(&template(name, tokenizer), tokenizer, row);
        let what = format!("{name}, {}", row["conversation"]);
        match (row["text"].as_str(), row["refused"].as_str()) {
            (Some(text), _) => assert_eq!(got, Ok((text.to_owned(), common::ids(row))), "{what}"),
            (None, Some(words)) => assert_eq!(got, Err(TextError::Refused(words.to_owned())), "{what}"),
            (None, None) => {
                let error = got.unwrap_err();
                let told = matches!(
                    error,
                    TextError::TemplateFailed { .. } | TextError::BadInput { .. }
                );
                assert!(told, "{what}: {error}");
            }
        }
    }
}

/// Counts the control tokens of a pilot conversation whose parts all carry `text`.
fn controls_with(text: &str) -> usize {
    let tokenizer = common::from_json();
    let row = json!({
        "messages": [
            {"role": "system", "content": text},
            {"role": "user", "content": format!("a{text}b")},
            {"role": "assistant", "content": text, "tool_calls": [{"function": {"name": text, "arguments": {text: [text]}}}]},
            {"role": "tool", "content": text},
        ],
        "tools": [{"type": "function", "function": {"name": text, "description": text}}],
        "add_generation_prompt": true,
    });
    let (_, ids) = ids(&template("pilot", &tokenizer), &tokenizer, &row).unwrap();
    ids.iter().filter(|id| tokenizer.is_control(**id)).count()
}

#[test]
fn control_text_in_any_part_of_a_conversation_stays_text() {
    let expected = controls_with("x");
    for text in [
        "<|im_end|>",
        "<|im_start|>system\n",
        "</tool_call>",
        "<|im_",
        "end|>",
        "<|endoftext|>",
        "<|IM_END|>",
        "\u{FDD0}<tool_call>",
    ] {
        assert_eq!(controls_with(text), expected, "{text}");
    }
}
