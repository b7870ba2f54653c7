//! Chat and plain completions, whole and streamed.

use http_body_util::BodyExt;
use hyper::StatusCode;
use mains_types::{GenerationError, GenerationErrorKind, Prompt};
use serde_json::{Value, json};

use crate::fake::{chat_body, events, finished, start, tokens};

fn failure(kind: GenerationErrorKind) -> GenerationError {
    GenerationError {
        kind,
        message: "what happened".to_owned(),
        param: None,
    }
}

fn two_choices() -> Vec<mains_types::Event> {
    vec![
        tokens(0, &[1, 2], "4"),
        tokens(1, &[3], ""),
        tokens(0, &[4], "2"),
        finished(1),
        tokens(0, &[5], ""),
        finished(0),
        mains_types::Event::Done,
    ]
}

#[tokio::test]
async fn many_events_at_once_are_all_streamed() {
    let served = start();
    for count in [63, 64, 65, 200] {
        let mut answer: Vec<_> = (0..count).map(|id| tokens(0, &[id], "x")).collect();
        answer.extend([finished(0), mains_types::Event::Done]);
        served.fake.answers.lock().unwrap().push_back(Ok(answer));
        let (_, text) = served.chat(json!({"stream": true})).await;
        assert_eq!(text.matches(r#""content":"x""#).count(), count as usize);
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    }
}

#[tokio::test]
async fn a_chat_is_streamed_as_clients_expect() {
    let served = start();
    served.fake.answers.lock().unwrap().push_back(Ok(two_choices()));
    let extra = json!({"stream": true, "n": 2, "stream_options": {"include_usage": true}});
    let (status, text) = served.chat(extra).await;
    assert_eq!(status, StatusCode::OK);
    let events = events(&text);
    let (caller, request) = served.fake.asked.lock().unwrap().pop().unwrap();
    assert_eq!(caller.team, "crew");
    assert_eq!(caller.peer.pid, Some(std::process::id()));
    for event in &events[..events.len() - 1] {
        assert_eq!(event["id"], *request.id);
        assert_eq!(event["object"], "chat.completion.chunk");
        assert_eq!(event["system_fingerprint"], "fp_0123456789ab");
    }
    let deltas: Vec<(&Value, &Value, &Value)> = events
        .iter()
        .filter_map(|event| event["choices"].get(0))
        .map(|choice| (&choice["index"], &choice["delta"], &choice["finish_reason"]))
        .collect();
    let null = Value::Null;
    let role = json!({"role": "assistant", "content": ""});
    assert_eq!(
        deltas,
        [
            (&json!(0), &role, &null),
            (&json!(1), &role, &null),
            (&json!(0), &json!({"content": "4"}), &null),
            (&json!(0), &json!({"content": "2"}), &null),
            (&json!(1), &json!({}), &json!("stop")),
            (&json!(0), &json!({}), &json!("stop")),
        ]
    );
    assert_eq!(events[0]["usage"], Value::Null);
    let usage = &events[events.len() - 2];
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(
        usage["usage"],
        json!({"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10,
               "prompt_tokens_details": {"cached_tokens": 2}})
    );
    assert_eq!(events.last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn usage_comes_only_when_asked_for() {
    let served = start();
    served.fake.answers.lock().unwrap().push_back(Ok(two_choices()));
    let (_, text) = served.chat(json!({"stream": true, "n": 2})).await;
    assert!(!text.contains("usage"), "{text}");
}

#[tokio::test]
async fn a_whole_chat_and_a_whole_completion() {
    let served = start();
    served.fake.answers.lock().unwrap().push_back(Ok(two_choices()));
    let (status, text) = served.chat(json!({"n": 2})).await;
    assert_eq!(status, StatusCode::OK);
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "42");
    assert_eq!(body["choices"][1]["finish_reason"], "stop");
    assert_eq!(body["usage"]["completion_tokens"], 5);
    served.fake.answers.lock().unwrap().push_back(Ok(two_choices()));
    let asked = json!({"model": "pilot", "prompt": [[1], [2, 3]], "max_tokens": 4}).to_string();
    let (status, body) = served.json("mains.sock", "POST", "/v1/completions", asked).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["object"], "text_completion");
    assert_eq!(body["choices"][0]["text"], "42");
    assert_eq!(body["usage"]["total_tokens"], 10);
    let (_, request) = served.fake.asked.lock().unwrap().pop().unwrap();
    assert_eq!(request.prompts, [Prompt::Ids(vec![1]), Prompt::Ids(vec![2, 3])]);
    assert!(request.id.starts_with("cmpl-") && body["id"] == *request.id);
}

#[tokio::test]
async fn each_failure_has_its_status() {
    use GenerationErrorKind as Kind;
    let served = start();
    for (kind, status, code) in [
        (Kind::ContextLength, 400, "context_length_exceeded"),
        (Kind::UnknownModel, 404, "model_not_found"),
        (Kind::Overloaded, 503, "overloaded"),
        (Kind::Unavailable, 503, "model_unavailable"),
        (Kind::WorkerLost, 502, "worker_lost"),
        (Kind::Unmetered, 503, "ledger_unavailable"),
        (Kind::ShuttingDown, 503, "shutting_down"),
        (Kind::Internal, 500, "internal_error"),
    ] {
        served.fake.answers.lock().unwrap().push_back(Err(failure(kind)));
        let response = served
            .send("mains.sock", "POST", "/v1/chat/completions", chat_body(json!({})))
            .await;
        assert_eq!(response.status(), status, "{kind:?}");
        assert_eq!(
            response.headers().contains_key("retry-after"),
            status == 503,
            "{kind:?}"
        );
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(body["error"]["code"], code);
        assert_eq!(body["error"]["message"], "what happened");
    }
}

#[tokio::test]
async fn a_failure_in_a_stream_is_its_last_event() {
    let served = start();
    let lost = failure(GenerationErrorKind::WorkerLost);
    let events_given = vec![tokens(0, &[1], "a"), mains_types::Event::Failed(lost)];
    served.fake.answers.lock().unwrap().push_back(Ok(events_given));
    let (_, text) = served.chat(json!({"stream": true})).await;
    let events = events(&text);
    assert_eq!(events.last().unwrap()["error"]["code"], "worker_lost");
    assert!(!text.contains("[DONE]"));
}

#[tokio::test]
async fn a_client_that_goes_cancels() {
    for stream in [true, false] {
        let served = start();
        let mut sender = served.connect("mains.sock").await;
        let request = hyper::Request::post("/v1/chat/completions")
            .header("host", "localhost")
            .body(http_body_util::Full::new(
                chat_body(json!({"stream": stream})).into(),
            ))
            .unwrap();
        let answer = tokio::spawn(async move {
            let response = sender.send_request(request).await;
            if let Ok(response) = response {
                drop(response.into_body().collect().await);
            }
        });
        let open = loop {
            if let Some(open) = served.fake.open.lock().unwrap().take() {
                break open;
            }
            tokio::task::yield_now().await;
        };
        answer.abort();
        open.closed().await;
    }
}

#[tokio::test]
async fn a_panic_costs_its_own_request() {
    let served = start();
    let (status, text) = served.chat(json!({"model": "panic"})).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains("defect of mains"), "{text}");
    assert_eq!(served.get("/healthz").await.0, StatusCode::OK);
}
