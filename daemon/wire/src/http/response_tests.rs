//! Answers: the exact JSON that clients depend on.

use mains_types::TokenLogprob;
use serde_json::json;

use super::*;

fn to_json(body: &impl serde::Serialize) -> String {
    serde_json::to_string(body).unwrap()
}

fn chunk(choices: Vec<ChatChunkChoice<'static>>, usage: Option<Option<UsageBody>>) -> ChatChunk<'static> {
    ChatChunk {
        id: "chatcmpl-1".into(),
        object: "chat.completion.chunk".into(),
        created: 9,
        model: "pilot".into(),
        system_fingerprint: "fp".into(),
        choices,
        usage,
    }
}

fn choice(delta: ChatDelta<'static>, finish_reason: Option<&'static str>) -> ChatChunkChoice<'static> {
    ChatChunkChoice {
        index: 0,
        delta,
        logprobs: None,
        finish_reason: finish_reason.map(Into::into),
    }
}

const HEAD: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":9,"model":"pilot","system_fingerprint":"fp","#;

#[test]
fn chat_chunks() {
    let first = choice(
        ChatDelta {
            role: Some("assistant".into()),
            content: Some("".into()),
        },
        None,
    );
    assert_eq!(
        to_json(&chunk(vec![first], None)),
        HEAD.to_owned()
            + r#""choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#
    );
    assert_eq!(
        to_json(&chunk(
            vec![choice(ChatDelta::default(), Some("stop"))],
            Some(None)
        )),
        HEAD.to_owned()
            + r#""choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#
    );
    assert_eq!(
        to_json(&chunk(Vec::new(), Some(Some(UsageBody::new(3, 1, 4))))),
        HEAD.to_owned()
            + r#""choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":1}}}"#
    );
}

#[test]
fn a_whole_chat_answer() {
    let body = ChatCompletion {
        id: "chatcmpl-1".to_owned(),
        object: "chat.completion".into(),
        created: 9,
        model: "pilot".to_owned(),
        system_fingerprint: "fp".to_owned(),
        choices: vec![ChatChoice {
            index: 0,
            message: ChatMessage {
                role: "assistant".into(),
                content: "42".to_owned(),
                refusal: None,
            },
            logprobs: None,
            finish_reason: "stop".into(),
        }],
        usage: UsageBody::new(3, 0, 4),
    };
    assert_eq!(
        serde_json::to_value(&body).unwrap(),
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 9, "model": "pilot", "system_fingerprint": "fp",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "42", "refusal": null},
                         "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7,
                      "prompt_tokens_details": {"cached_tokens": 0}},
        })
    );
}

fn tokens() -> [TokenLogprob; 3] {
    [
        TokenLogprob {
            id: 1,
            bytes: "é".as_bytes().to_vec(),
            logprob: -0.5,
            top: vec![
                (1, "é".as_bytes().to_vec(), -0.5),
                (2, vec![0xe4, 0xbd], f32::NEG_INFINITY),
            ],
        },
        TokenLogprob {
            id: 2,
            bytes: vec![0xe4, 0xbd],
            logprob: f32::NEG_INFINITY,
            top: Vec::new(),
        },
        TokenLogprob {
            id: 3,
            bytes: vec![0xa0],
            logprob: 0.0,
            top: Vec::new(),
        },
    ]
}

#[test]
fn chat_logprobs_have_bytes_and_no_null() {
    assert_eq!(
        serde_json::to_value(ChatLogprobs::new(&tokens()[..2])).unwrap(),
        json!({"content": [
            {"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": [
                {"token": "é", "logprob": -0.5, "bytes": [195, 169]},
                {"token": "bytes:\\xe4\\xbd", "logprob": -9999.0, "bytes": [228, 189]},
            ]},
            {"token": "bytes:\\xe4\\xbd", "logprob": -9999.0, "bytes": [228, 189], "top_logprobs": []},
        ], "refusal": null})
    );
}

#[test]
fn plain_logprobs_count_characters() {
    let (shape, offset) = CompletionLogprobs::new(&tokens(), 5, true);
    assert_eq!(
        serde_json::to_value(shape).unwrap(),
        json!({
            "tokens": ["é", "bytes:\\xe4\\xbd", "bytes:\\xa0"],
            "token_logprobs": [-0.5, -9999.0, 0.0],
            "top_logprobs": [{"é": -0.5, "bytes:\\xe4\\xbd": -9999.0}, {}, {}],
            "text_offset": [5, 6, 7],
        })
    );
    assert_eq!(offset, 7);
    assert_eq!(CompletionLogprobs::new(&tokens(), 0, false).0.top_logprobs, None);
}

#[test]
fn plain_completions() {
    let body = Completion {
        id: "cmpl-1".into(),
        object: "text_completion".into(),
        created: 9,
        model: "pilot".into(),
        system_fingerprint: "fp".into(),
        choices: vec![CompletionChoice {
            index: 0,
            text: "x".into(),
            logprobs: None,
            finish_reason: None,
        }],
        usage: None,
    };
    assert_eq!(
        to_json(&body),
        r#"{"id":"cmpl-1","object":"text_completion","created":9,"model":"pilot","system_fingerprint":"fp","choices":[{"index":0,"text":"x","logprobs":null,"finish_reason":null}]}"#
    );
}

#[test]
fn errors_and_models() {
    let error = ErrorBody {
        error: ErrorDetail {
            message: "no".to_owned(),
            kind: "invalid_request_error".to_owned(),
            param: None,
            code: None,
            nearest: Vec::new(),
        },
    };
    assert_eq!(
        to_json(&error),
        r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}"#
    );
    assert_eq!(
        to_json(&ModelList::new([("pilot".to_owned(), 5)])),
        r#"{"object":"list","data":[{"id":"pilot","object":"model","created":5,"owned_by":"mains"}]}"#
    );
}

#[test]
fn what_is_unknown_is_absent() {
    let row = RequestRow {
        id: "chatcmpl-1".to_owned(),
        time: "2026-11-24T07:00:00Z".to_owned(),
        team: "default".to_owned(),
        uid: Some(0),
        pid: None,
        unit: None,
        model: "pilot".to_owned(),
        variant: None,
        device: None,
        prompt_tokens: Some(3),
        cached_tokens: None,
        completion_tokens: Some(0),
        queue_ms: None,
        first_token_ms: None,
        total_ms: None,
        finish_reason: None,
        error: Some("client_gone".to_owned()),
        settled: Some("exact".to_owned()),
    };
    assert_eq!(
        to_json(&row),
        r#"{"id":"chatcmpl-1","time":"2026-11-24T07:00:00Z","team":"default","uid":0,"model":"pilot","prompt_tokens":3,"completion_tokens":0,"error":"client_gone","settled":"exact"}"#
    );
}
