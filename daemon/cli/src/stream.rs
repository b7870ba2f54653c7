//! One streamed chat answer: the request's body, and the pieces as they come.

use http_body_util::BodyExt;
use hyper::Method;
use serde_json::{Value, json};

use crate::args::SamplingArgs;
use crate::client::{Client, ClientError};
use crate::sse::SseParser;

/// What the end of an answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The request's id, as in the ledger.
    pub(crate) id: String,
    /// The whole text.
    pub(crate) text: String,
    /// Why it ended.
    pub(crate) finish_reason: String,
}

/// The body of a chat request.
pub(crate) fn body(model: &str, messages: &[Value], sampling: &SamplingArgs, stream: bool) -> Value {
    let mut body = json!({ "model": model, "messages": messages, "stream": stream });
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[key] = value;
        }
    };
    set("temperature", sampling.temperature.map(Value::from));
    set("max_tokens", sampling.max_tokens.map(Value::from));
    set("seed", sampling.seed.map(Value::from));
    body
}

/// The messages of a conversation that begins.
pub(crate) fn opening(sampling: &SamplingArgs) -> Vec<Value> {
    sampling
        .system
        .iter()
        .map(|text| json!({ "role": "system", "content": text }))
        .collect()
}

/// Asks for an answer and gives each piece of its text to `show` as it comes.
///
/// # Errors
/// [`ClientError`] when the daemon refuses, the connection breaks or the stream carries an error.
pub(crate) async fn answer(
    client: &Client,
    body: &Value,
    mut show: impl FnMut(&str),
) -> Result<Answer, ClientError> {
    let response = client
        .request(
            Method::POST,
            "/v1/chat/completions",
            Some(body.to_string().into_bytes()),
        )
        .await?;
    let mut body = response.into_body();
    let mut parser = SseParser::default();
    let mut answer = Answer::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| client.broken(&error))?;
        let Some(bytes) = frame.data_ref() else { continue };
        for event in parser.push(bytes).map_err(|error| client.broken(&error))? {
            if event == "[DONE]" {
                return Ok(answer);
            }
            let event: Value = serde_json::from_str(&event).map_err(|error| client.broken(&error))?;
            take(&mut answer, &event, &mut show)?;
        }
    }
    Err(client.broken(&"the answer broke off"))
}

fn take(answer: &mut Answer, event: &Value, show: &mut impl FnMut(&str)) -> Result<(), ClientError> {
    if let Some(message) = event.pointer("/error/message").and_then(Value::as_str) {
        let body = event.to_string().into_bytes();
        return Err(ClientError::Refused {
            status: 200,
            message: message.to_owned(),
            body,
        });
    }
    if let Some(id) = event["id"].as_str() {
        id.clone_into(&mut answer.id);
    }
    let choice = &event["choices"][0];
    if let Some(text) = choice["delta"]["content"].as_str() {
        show(text);
        answer.text.push_str(text);
    }
    if let Some(reason) = choice["finish_reason"].as_str() {
        reason.clone_into(&mut answer.finish_reason);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Answer, body, opening, take};
    use crate::args::SamplingArgs;
    use crate::client::ClientError;

    #[test]
    fn only_what_was_given_is_asked_for() {
        let sampling = SamplingArgs {
            temperature: Some(0.0),
            max_tokens: None,
            seed: None,
            system: Some("Be short.".into()),
        };
        assert_eq!(
            body("pilot", &opening(&sampling), &sampling, true),
            json!({"model": "pilot", "messages": [{"role": "system", "content": "Be short."}], "stream": true, "temperature": 0.0})
        );
    }

    #[test]
    fn pieces_become_an_answer() {
        let mut answer = Answer::default();
        let mut shown = Vec::new();
        for event in [
            json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
            json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": "42"}}]}),
            json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        ] {
            take(&mut answer, &event, &mut |text| shown.push(text.to_owned())).unwrap();
        }
        assert_eq!(
            answer,
            Answer {
                id: "chatcmpl-1".into(),
                text: "42".into(),
                finish_reason: "stop".into()
            }
        );
        assert_eq!(shown.concat(), "42");
    }

    #[test]
    fn an_error_in_the_stream_is_an_error() {
        let error = take(
            &mut Answer::default(),
            &json!({"error": {"message": "the worker died"}}),
            &mut |_| (),
        );
        assert!(matches!(error, Err(ClientError::Refused { message, .. }) if message == "the worker died"));
    }
}
