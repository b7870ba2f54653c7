//! Requests: what is honoured, what is refused and by which name.

use mains_types::{ChatEnd, LogitBias, Prompt};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ChatRequest, CompletionRequest, RequestError};

fn chat(extra: &Value) -> Result<ChatRequest, RequestError> {
    let body = merge(
        json!({"model": "pilot", "messages": [{"role": "user", "content": "hi"}]}),
        extra,
    );
    ChatRequest::parse(body.to_string().as_bytes(), "chatcmpl-1".to_owned())
}

fn completion(extra: &Value) -> Result<CompletionRequest, RequestError> {
    let body = merge(json!({"model": "pilot", "prompt": "hi"}), extra);
    CompletionRequest::parse(body.to_string().as_bytes(), "cmpl-1".to_owned())
}

fn merge(mut body: Value, extra: &Value) -> Value {
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn chat_messages(messages: &Value) -> Result<Value, RequestError> {
    let request = chat(&json!({"messages": messages}))?;
    let Prompt::Chat(prompt) = &request.generate.prompts[0] else {
        panic!("a chat request has a chat prompt");
    };
    Ok(serde_json::from_str(&prompt.messages).unwrap())
}

#[test]
fn chat_parameters_arrive() {
    let request = chat(&json!({
        "temperature": 0, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "frequency_penalty": -2, "presence_penalty": 2.0,
        "repetition_penalty": 1.1, "seed": -1, "n": 2, "max_completion_tokens": 7, "max_tokens": 7, "stop": ["a", "b"],
        "logprobs": true, "top_logprobs": 3, "logit_bias": {"5": -100}, "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": false}, "keep_alive": "5m",
        "chat_template_kwargs": {"enable_thinking": false},
    }))
    .unwrap();
    let generate = &request.generate;
    assert_eq!(
        (generate.n, generate.max_tokens, generate.top_logprobs),
        (2, Some(7), Some(3))
    );
    assert_eq!(generate.stop, ["a", "b"]);
    assert_eq!(generate.keep_alive_s, Some(300));
    assert_eq!(generate.sampling.temperature, Some(0.0));
    assert_eq!(generate.sampling.seed, Some(u64::MAX));
    assert_eq!(
        generate.sampling.logit_bias,
        [LogitBias {
            token: 5,
            bias: -100.0
        }]
    );
    assert!(request.streaming.unwrap().include_usage);
    let Prompt::Chat(prompt) = &generate.prompts[0] else {
        panic!("a chat request has a chat prompt");
    };
    assert_eq!(prompt.variables.as_deref(), Some(r#"{"enable_thinking":false}"#));
}

fn chat_prompt(extra: &Value) -> mains_types::ChatPrompt {
    let mut request = chat(extra).unwrap();
    match request.generate.prompts.pop() {
        Some(Prompt::Chat(prompt)) => prompt,
        other => panic!("a chat request has a chat prompt, not {other:?}"),
    }
}

#[test]
fn a_conversation_ends_where_the_request_says() {
    for (extra, end) in [
        (json!({}), ChatEnd::NewAnswer),
        (
            json!({"continue_final_message": false, "add_generation_prompt": true}),
            ChatEnd::NewAnswer,
        ),
        (json!({"add_generation_prompt": false}), ChatEnd::LastMessage),
        (
            json!({"continue_final_message": true}),
            ChatEnd::WithinLastMessage,
        ),
        (
            json!({"continue_final_message": true, "add_generation_prompt": false}),
            ChatEnd::WithinLastMessage,
        ),
    ] {
        assert_eq!(chat_prompt(&extra).end, end, "{extra}");
    }
}

#[test]
fn reasoning_is_a_variable_of_the_template() {
    for (extra, variables) in [
        (json!({"enable_thinking": null, "chat_template_kwargs": {}}), None),
        (
            json!({"enable_thinking": true}),
            Some(r#"{"enable_thinking":true}"#),
        ),
        (
            json!({"enable_thinking": false, "chat_template_kwargs": {"x": 1, "enable_thinking": false}}),
            Some(r#"{"x":1,"enable_thinking":false}"#),
        ),
    ] {
        assert_eq!(chat_prompt(&extra).variables.as_deref(), variables, "{extra}");
    }
}

#[test]
fn values_that_ask_for_nothing_are_accepted() {
    let plain = chat(&json!({})).unwrap();
    let nothing = chat(&json!({
        "tools": [], "tool_choice": "none", "parallel_tool_calls": true, "functions": [], "function_call": "none",
        "response_format": {"type": "text"}, "modalities": ["text"], "audio": null, "store": false, "metadata": {},
        "service_tier": "auto", "prediction": null, "reasoning_effort": null, "verbosity": "medium",
        "web_search_options": null, "user": "", "logit_bias": {}, "n": 1, "stop": null, "logprobs": false,
        "stream": false, "stream_options": null, "temperature": null, "seed": null, "keep_alive": null,
    }));
    assert_eq!(nothing.unwrap(), plain);
    assert_eq!(
        completion(&json!({"best_of": 1, "suffix": null, "echo": false, "logprobs": null, "max_tokens": 16}))
            .unwrap(),
        completion(&json!({})).unwrap()
    );
}

/// A line each: the parameter that the error names, its code, what is added to a request that is right.
const CHAT_REFUSALS: &str = r#"tools unsupported_parameter {"tools": [{"type": "function", "function": {"name": "f"}}]}
tool_choice unsupported_parameter {"tool_choice": "required"}
parallel_tool_calls unsupported_parameter {"parallel_tool_calls": false}
response_format unsupported_parameter {"response_format": {"type": "json_object"}}
modalities unsupported_parameter {"modalities": ["text", "audio"]}
store unsupported_parameter {"store": true}
metadata unsupported_parameter {"metadata": {"a": "b"}}
user unsupported_parameter {"user": "joe"}
reasoning_effort unsupported_parameter {"reasoning_effort": "low"}
service_tier unsupported_parameter {"service_tier": "priority"}
foo unknown_parameter {"foo": 1}
foo unknown_parameter {"foo": null}
temperature invalid_value {"temperature": 2.1}
temperature invalid_type {"temperature": "1"}
top_p invalid_value {"top_p": 0}
top_k invalid_value {"top_k": -1}
top_k invalid_value {"top_k": 1.5}
min_p invalid_value {"min_p": 1.1}
frequency_penalty invalid_value {"frequency_penalty": 3}
repetition_penalty invalid_value {"repetition_penalty": 0}
n invalid_value {"n": 0}
n invalid_value {"n": 9}
n invalid_type {"n": true}
seed invalid_value {"seed": 9223372036854775808}
max_tokens invalid_value {"max_tokens": 0}
max_completion_tokens invalid_value {"max_tokens": 1, "max_completion_tokens": 2}
stop invalid_value {"stop": ["a", "b", "c", "d", "e"]}
stop invalid_value {"stop": ""}
stop[1] invalid_type {"stop": ["a", 1]}
logprobs invalid_type {"logprobs": 1}
top_logprobs invalid_value {"top_logprobs": 2}
top_logprobs invalid_value {"logprobs": true, "top_logprobs": 21}
logit_bias.x invalid_value {"logit_bias": {"x": 1}}
logit_bias.01 invalid_value {"logit_bias": {"01": 1}}
logit_bias.1 invalid_value {"logit_bias": {"1": 101}}
stream invalid_type {"stream": "yes"}
stream_options invalid_value {"stream_options": {"include_usage": true}}
stream_options.x unknown_parameter {"stream": true, "stream_options": {"x": 1}}
keep_alive invalid_value {"keep_alive": "5 minutes"}
keep_alive invalid_value {"keep_alive": -1}
chat_template_kwargs.messages invalid_value {"chat_template_kwargs": {"messages": []}}
chat_template_kwargs invalid_type {"chat_template_kwargs": []}
enable_thinking invalid_type {"enable_thinking": "no"}
enable_thinking invalid_value {"enable_thinking": true, "chat_template_kwargs": {"enable_thinking": false}}
continue_final_message invalid_type {"continue_final_message": 1}
add_generation_prompt invalid_value {"continue_final_message": true, "add_generation_prompt": true}
model missing_required_parameter {"model": null}
messages missing_required_parameter {"messages": null}
messages invalid_type {"messages": "hi"}
messages invalid_value {"messages": []}"#;

#[test]
fn chat_refusals_name_the_parameter() {
    for line in CHAT_REFUSALS.lines() {
        let mut columns = line.splitn(3, ' ');
        let [param, code, extra] = [(); 3].map(|()| columns.next().unwrap());
        let error = chat(&serde_json::from_str(extra).unwrap()).expect_err(line);
        assert_eq!(
            (error.param.as_deref(), error.code),
            (Some(param), code),
            "{line}"
        );
        assert!(error.message.contains(param), "{}", error.message);
    }
}

#[test]
fn message_refusals_name_the_place() {
    for (messages, param) in [
        (json!([1]), "messages[0]"),
        (json!([{"content": "x"}]), "messages[0].role"),
        (json!([{"role": "root", "content": "x"}]), "messages[0].role"),
        (json!([{"role": "user"}]), "messages[0].content"),
        (json!([{"role": "user", "content": null}]), "messages[0].content"),
        (json!([{"role": "user", "content": []}]), "messages[0].content"),
        (
            json!([{"role": "user", "content": "x", "colour": 1}]),
            "messages[0].colour",
        ),
        (
            json!([{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {}}]}]),
            "messages[0].content[1].type",
        ),
        (
            json!([{"role": "user", "content": [{"type": "text"}]}]),
            "messages[0].content[0].text",
        ),
        (
            json!([{"role": "user", "content": "x", "tool_calls": []}]),
            "messages[0].tool_calls",
        ),
        (
            json!([{"role": "tool", "content": "x"}]),
            "messages[0].tool_call_id",
        ),
        (
            json!([{"role": "assistant", "content": "x", "refusal": "no"}]),
            "messages[0].refusal",
        ),
        (
            json!([{"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f"}}]}]),
            "messages[0].tool_calls[0].function.arguments",
        ),
    ] {
        let error = chat_messages(&messages).expect_err(&messages.to_string());
        assert_eq!(error.param.as_deref(), Some(param), "{messages}");
    }
}

#[test]
fn messages_take_the_form_of_templates() {
    let call = json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let given = json!([
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "joe"},
        {"role": "assistant", "content": null, "refusal": null, "annotations": [], "audio": null, "function_call": null,
         "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_call_id": "1"},
        {"role": "assistant", "content": "done", "tool_calls": null, "reasoning_content": "hm"},
    ]);
    assert_eq!(
        chat_messages(&given).unwrap(),
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "a\nb", "name": "joe"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "3", "tool_call_id": "1"},
            {"role": "assistant", "content": "done", "reasoning_content": "hm"},
        ])
    );
}

#[test]
fn completions_take_four_kinds_of_prompt() {
    let text = |text: &str| Prompt::Text(text.to_owned());
    for (prompt, expected) in [
        (json!("a"), vec![text("a")]),
        (json!(["a", "b"]), vec![text("a"), text("b")]),
        (json!([1, 2]), vec![Prompt::Ids(vec![1, 2])]),
        (
            json!([[1], [2, 3]]),
            vec![Prompt::Ids(vec![1]), Prompt::Ids(vec![2, 3])],
        ),
    ] {
        assert_eq!(
            completion(&json!({"prompt": prompt})).unwrap().generate.prompts,
            expected
        );
    }
    assert_eq!(completion(&json!({})).unwrap().generate.max_tokens, Some(16));
}

#[test]
fn completion_refusals_name_the_parameter() {
    let many: Vec<&str> = vec!["x"; 33];
    for (extra, param) in [
        (json!({"prompt": null}), "prompt"),
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": 7}), "prompt"),
        (json!({"prompt": [1, -1]}), "prompt[1]"),
        (json!({"prompt": [1, "a"]}), "prompt[1]"),
        (json!({"prompt": ["a", 1]}), "prompt[1]"),
        (json!({"prompt": [[1], []]}), "prompt[1]"),
        (json!({"prompt": [[4_294_967_296_u64]]}), "prompt[0][0]"),
        (json!({"prompt": many, "n": 2}), "prompt"),
        (json!({"best_of": 2}), "best_of"),
        (json!({"suffix": "x"}), "suffix"),
        (json!({"logprobs": 6}), "logprobs"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"logprobs": 1, "echo": true}), "logprobs"),
        (json!({"messages": []}), "messages"),
        (json!({"user": "joe"}), "user"),
        (json!({"foo": 1}), "foo"),
    ] {
        let error = completion(&extra).expect_err(&extra.to_string());
        assert_eq!(error.param.as_deref(), Some(param), "{extra}");
    }
}

/// Any JSON, with names and values that are near to real ones.
fn near_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("model".to_owned()),
        Just("messages".to_owned()),
        Just("prompt".to_owned()),
        Just("role".to_owned()),
        Just("content".to_owned()),
        Just("stop".to_owned()),
        Just("logit_bias".to_owned()),
        Just("keep_alive".to_owned()),
        Just("stream_options".to_owned()),
        "[a-z_]{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,9}".prop_map(Value::from),
        Just(json!("user")),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_an_answer_or_an_error(body in near_json()) {
        let bytes = body.to_string().into_bytes();
        for error in [
            ChatRequest::parse(&bytes, String::new()).err(),
            CompletionRequest::parse(&bytes, String::new()).err(),
        ]
        .into_iter()
        .flatten()
        {
            prop_assert!(!error.message.is_empty());
        }
        for name in ["model", "messages", "prompt", "stop", "logit_bias", "keep_alive", "stream_options", "seed"] {
            let extra = json!({name: body});
            drop((chat(&extra), completion(&extra)));
        }
    }

    #[test]
    fn an_unknown_name_is_always_refused_by_name(name in "x[a-z]{1,8}") {
        let error = chat(&json!({&name: 1})).unwrap_err();
        prop_assert_eq!(error.param, Some(name));
    }
}
