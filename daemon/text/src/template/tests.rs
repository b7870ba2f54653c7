//! What a template may do and what a client hears of it. Equality with transformers is in `tests/conversations.rs`.

use super::*;

/// Byte-level vocabulary without merges, with the control tokens of a chat model.
fn tokenizer(controls: &[&str]) -> Tokenizer {
    let mut vocabulary = serde_json::Map::new();
    let letters = (0..=u8::MAX).map(|byte| {
        let prints = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        (byte, prints)
    });
    let mut next = 0x100_u32;
    for (byte, prints) in letters {
        let letter = if prints { u32::from(byte) } else { next };
        next += u32::from(!prints);
        vocabulary.insert(char::from_u32(letter).unwrap().to_string(), byte.into());
    }
    let added: Vec<_> = (256..)
        .zip(controls)
        .map(|(id, text)| serde_json::json!({"id": id, "content": text, "special": true}))
        .collect();
    let file = serde_json::json!({
        "added_tokens": added,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    });
    Tokenizer::from_json(file.to_string().as_bytes()).unwrap()
}

fn render_with(source: &str, messages: &str, variables: Option<&str>) -> Result<Rendered, TextError> {
    let now: ZonedDateTime = "2026-11-04T09:05:00+00:00[UTC]".parse().unwrap();
    let tokenizer = tokenizer(&["<|end|>", "</think>", "<x>"]);
    let template = ChatTemplate::new(source, Some("<s>"), None, &tokenizer)?;
    template.render(&ChatInput {
        messages,
        tools: None,
        variables,
        add_generation_prompt: true,
        continue_final_message: false,
        now: &now,
    })
}

fn render(source: &str, messages: &str) -> Result<String, TextError> {
    render_with(source, messages, None).map(|rendered| rendered.text().into_owned())
}

const HELLO: &str = r#"[{"role": "user", "content": " Hello "}]"#;

#[test]
fn generation_tags_vanish_with_their_whitespace_control() {
    let source = "a {%- generation -%} b {%- endgeneration %} c{% if generation %}!{% endif %}";
    assert_eq!(render(source, HELLO).unwrap(), "ab c");
}

#[test]
fn python_methods_work() {
    let source = "{% set c = messages[0].content %}{{ c.strip().removeprefix('He').removesuffix('o') }}|\
        {{ 'a-b-c'.rsplit('-', 1) | tojson }}|{{ 'a-b-c'.split('-', 1) | tojson }}|{{ 'a=b'.partition('=') | tojson }}|\
        {{ 'a=b=c'.rpartition('=') | tojson }}|{{ c is sequence }}|{{ 'xay'.strip('xy') }}|{{ c.startswith(('x', ' H')) }}|\
        {{ messages[0].get('name', 'none') }}|{{ messages[::-1] | length }}|{{ bos_token }}{{ eos_token }}|{{ tools is none }}|{{ strftime_now('%d %b %Y %-H:%M') }}";
    assert_eq!(
        render(source, HELLO).unwrap(),
        r#"ll|["a-b", "c"]|["a", "b-c"]|["a", "=", "b"]|["a=b", "=", "c"]|True|a|True|none|1|<s>|True|04 Nov 2026 9:05"#
    );
}

#[test]
fn titles_begin_words_after_anything_but_letters() {
    let source = "{{ \"it's a 3rd 'straße' ßX éa\".title() }}";
    assert_eq!(render(source, HELLO).unwrap(), "It'S A 3Rd 'Straße' Ssx Éa");
}

#[test]
fn pythons_percent_on_strings_is_refused_by_name() {
    let error = render("a\n{{ '%s tools' % 3 }}", HELLO).unwrap_err().to_string();
    assert!(
        error.contains("line 2") && error.contains('%') && error.contains("string"),
        "{error}"
    );
    // The filter does the same.
    assert_eq!(render("{{ '%s tools' | format(3) }}", HELLO).unwrap(), "3 tools");
}

#[test]
fn json_has_pythons_spelling_and_no_html_escapes() {
    let messages = r#"[{"z": "<é>&'\u0001", "a": [1, 2.5, true, null, {}], "b": {"k": 1e20}}]"#;
    let all = "{{ messages[0] | tojson }}\n{{ messages[0].z | tojson(ensure_ascii=true) }}\n\
        {{ messages[0].a | tojson(separators=(',', ':')) }}\n{{ {'b': 1, 'a': []} | tojson(indent=2, sort_keys=true) }}";
    assert_eq!(
        render(all, messages).unwrap(),
        "{\"z\": \"<é>&'\\u0001\", \"a\": [1, 2.5, true, null, {}], \"b\": {\"k\": 1e+20}}\n\"<\\u00e9>&'\\u0001\"\n[1,2.5,true,null,{}]\n{\n  \"a\": [],\n  \"b\": 1\n}"
    );
}

#[test]
fn a_refusal_has_the_templates_own_words() {
    let source = "{{ raise_exception('Roles must alternate, not ' + messages[0].role) }}";
    let error = render(source, r#"[{"role": "<|end|>"}]"#).unwrap_err();
    assert_eq!(
        error,
        TextError::Refused("Roles must alternate, not <|end|>".to_owned()),
        "no mark gets out"
    );
    let error = render(source, r#"[{"role": "user"}]"#).unwrap_err();
    assert_eq!(
        error,
        TextError::Refused("Roles must alternate, not user".to_owned())
    );
    assert!(error.is_invalid_request());
}

#[test]
fn failures_name_line_and_reason_but_not_the_request() {
    for source in [
        "\n{{ messages[0].content + 1 }}",
        "\n{{ messages[0].content.nothing.more }}",
        "\n{{ messages[0].content | int }}",
    ] {
        let error = render(source, r#"[{"content": "secret"}]"#).unwrap_err();
        let message = error.to_string();
        assert!(
            matches!(error, TextError::TemplateFailed { line: Some(2), .. }),
            "{message}"
        );
        assert!(
            !message.contains("secret") && !message.contains("messages["),
            "{message}"
        );
    }
}

#[test]
fn endless_work_and_output_end() {
    let error = render(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        HELLO,
    );
    assert!(
        matches!(error, Err(TextError::TemplateFailed { .. })),
        "{error:?}"
    );
    let error = render(
        "{% set x = 'x' * 100000 %}{% for a in range(100) %}{{ x }}{% endfor %}",
        HELLO,
    );
    assert!(matches!(error, Err(TextError::TooLong { .. })), "{error:?}");
}

#[test]
fn bad_input_is_named() {
    for (messages, variables) in [
        ("{}", None),
        ("[1]", None),
        ("[", None),
        ("[]", None),
        ("[{}]", Some("[]")),
    ] {
        let error = render_with("x", messages, variables).unwrap_err();
        assert!(matches!(error, TextError::BadInput { .. }), "{error:?}");
    }
    let error = render_with("x", "[{}]", Some(r#"{"bos_token": "<x>"}"#)).unwrap_err();
    assert_eq!(error, TextError::ReservedVariable("bos_token".to_owned()));
    assert!(matches!(
        render("{% if %}", "[]"),
        Err(TextError::BadTemplate { line: Some(1), .. })
    ));
    assert!(matches!(
        render("\u{FDD0}", "[]"),
        Err(TextError::BadTemplate { .. })
    ));
}

/// Ids of the control tokens in what a template makes of one message.
fn controls_of(source: &str, content: &str) -> Result<Vec<u32>, TextError> {
    let messages = serde_json::json!([{"role": "user", "content": content}]).to_string();
    let rendered = render_with(source, &messages, None)?;
    let tokenizer = tokenizer(&["<|end|>", "</think>", "<x>"]);
    let ids = tokenizer.encode_rendered(&rendered)?;
    assert!(rendered.text().contains("<|end|>"));
    Ok(ids.into_iter().filter(|id| *id >= 256).collect())
}

#[test]
fn only_the_template_writes_control_tokens() {
    let plain = "{{ messages[0].content }}<|end|>";
    let json = "{{ messages[0] | tojson }}<|end|>";
    let trimmed = "{{ messages[0].content | trim }}{{ messages[0].content.strip() }}<|end|>";
    for source in [plain, json, trimmed] {
        for content in [
            "<|end|>",
            " <|end|>\n",
            "</think><|end|></think>",
            "<|en",
            "a<",
            "\u{FDD0}<|end|>\u{FDD1}",
            "<|END|>",
        ] {
            assert_eq!(
                controls_of(source, content).unwrap(),
                [256],
                "{source} with {content:?}"
            );
        }
    }
}

#[test]
fn templates_may_look_for_control_tokens_and_cut_at_them() {
    let source = "{% set c = messages[0].content %}{% if '</think>' in c %}\
        {% set thought = c.split('</think>')[0].strip('\\n') %}{% set c = c.split('</think>')[-1].lstrip('\\n') %}\
        {{ thought + '</think>' + c }}{% else %}{{ c }}{% endif %}<|end|>";
    assert_eq!(
        controls_of(source, "why\n</think>\n\nbecause <x>").unwrap(),
        [257, 256]
    );
    assert_eq!(controls_of(source, "because").unwrap(), [256]);
}

#[test]
fn pieces_that_are_joined_again_stay_the_users() {
    let source = "{% for p in ['th', '/', 'i'] %}{% set c = messages[0].content.split(p) %}{{ c[0] + p + c[1] }}\
        {{ c[0] ~ p ~ c[1] }}{% endfor %}<|end|>";
    assert_eq!(controls_of(source, "</think>").unwrap(), [256]);
}

#[test]
fn what_depends_on_a_control_text_in_ways_that_cannot_be_followed_is_refused() {
    let source = "{% if messages[0].content == '<x>' %}yes{% endif %}<|end|>";
    assert_eq!(controls_of(source, "<x>"), Err(TextError::ControlText));
    assert_eq!(controls_of(source, "<y>").unwrap(), [256]);
}

fn continued(source: &str, messages: &str, add_generation_prompt: bool) -> Result<String, TextError> {
    let now: ZonedDateTime = "2026-11-04T09:05:00+00:00[UTC]".parse().unwrap();
    let template = ChatTemplate::new(source, None, None, &tokenizer(&["<|end|>"]))?;
    let rendered = template.render(&ChatInput {
        messages,
        tools: None,
        variables: None,
        add_generation_prompt,
        continue_final_message: true,
        now: &now,
    });
    rendered.map(|rendered| rendered.text().into_owned())
}

#[test]
fn a_last_message_that_goes_on_is_written_in_full_or_refused() {
    let plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|end|>{% endfor %}";
    let text = |content: &str| serde_json::json!([{"role": "a", "content": content}]).to_string();
    assert_eq!(
        continued(plain, &text("x <|end|>"), false).unwrap(),
        "a: x <|end|>"
    );
    assert_eq!(continued(plain, &text(""), false).unwrap(), "a: ");
    let upper = continued("{{ messages[0].content | upper }}", &text("x"), false);
    let empty = continued(plain, r#"[{"role": "a"}]"#, false);
    let image = continued(plain, r#"[{"role": "a", "content": [{"type": "image"}]}]"#, false);
    let both = continued(plain, &text("x"), true);
    for (result, word) in [
        (upper, "in full"),
        (empty, "have text"),
        (image, "have text"),
        (both, "add_generation_prompt"),
    ] {
        let error = result.unwrap_err();
        assert!(
            error.is_invalid_request() && error.to_string().contains(word),
            "{error}"
        );
    }
}
