//! Any messages, tools and variables under templates in the style of known families: refused, or rendered within the bounds, and
//! what the user wrote adds no control token.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mains_text::{ChatInput, ChatTemplate, Tokenizer};

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let file = include_bytes!("../../daemon/text/tests/fixtures/pilot_tokenizer.json");
    Tokenizer::from_json(file).expect("the fixture is a tokenizer")
});

static TEMPLATES: LazyLock<Vec<ChatTemplate>> = LazyLock::new(|| {
    let sources = [
        include_str!("../../daemon/text/tests/fixtures/templates/pilot.jinja"),
        include_str!("../../daemon/text/tests/fixtures/templates/thinking.jinja"),
        include_str!("../../daemon/text/tests/fixtures/templates/headers.jinja"),
    ];
    let compiled = |source: &str| ChatTemplate::new(source, Some("<|endoftext|>"), Some("<|im_end|>"), &TOKENIZER);
    sources.iter().map(|source| compiled(source).expect("the fixture compiles")).collect()
});

// Lines: messages, tools, variables; then two flags.
fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let messages = lines.next().unwrap_or_default();
    let [tools, variables] = [lines.next(), lines.next()].map(|line| line.filter(|line| !line.is_empty()));
    let flags = lines.next().unwrap_or_default().as_bytes();
    let flag = |index: usize| flags.get(index).is_some_and(|byte| byte % 2 == 1);
    let now = "2026-11-24T12:00:00+00:00[UTC]".parse().expect("a valid time");
    let input = ChatInput {
        messages,
        tools,
        variables,
        add_generation_prompt: flag(0),
        continue_final_message: flag(1),
        now: &now,
    };
    for template in TEMPLATES.iter() {
        if let Some(variables) = variables {
            let _ = template.check_variables(variables);
        }
        match template.render(&input) {
            Ok(rendered) => {
                let _ = TOKENIZER.encode_rendered(&rendered);
            }
            Err(error) => assert!(error.is_invalid_request(), "{error}"),
        }
    }
});
