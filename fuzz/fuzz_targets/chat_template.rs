//! Any text as a chat template, and any text in a message: refused, or rendered within the bounds, and no control token comes of
//! what the user wrote.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mains_text::{ChatInput, ChatTemplate, Tokenizer};

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let file = include_bytes!("../../daemon/text/tests/fixtures/pilot_tokenizer.json");
    Tokenizer::from_json(file).expect("the fixture is a tokenizer")
});

fuzz_target!(|text: &str| {
    let messages = serde_json::json!([{"role": "user", "content": text}, {"role": "assistant", "content": "b"}]).to_string();
    let now = "2026-11-24T12:00:00+00:00[UTC]".parse().expect("a valid time");
    let input = ChatInput { messages: &messages, tools: None, variables: None, add_generation_prompt: true, continue_final_message: false, now: &now };
    if let Ok(template) = ChatTemplate::new(text, Some("<|endoftext|>"), None, &TOKENIZER) {
        if let Ok(rendered) = template.render(&input) {
            let _ = TOKENIZER.encode_rendered(&rendered);
        }
    }
    let source = include_str!("../../daemon/text/tests/fixtures/templates/pilot.jinja");
    let template = ChatTemplate::new(source, None, None, &TOKENIZER).expect("the fixture compiles");
    let rendered = template.render(&input).expect("the pilot's template takes any content");
    assert!(rendered.text().contains(text));
    if let Ok(ids) = TOKENIZER.encode_rendered(&rendered) {
        // Two messages and the beginning of an answer.
        assert_eq!(ids.iter().filter(|id| TOKENIZER.is_control(**id)).count(), 5);
    }
});
