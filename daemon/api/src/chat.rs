//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use mains_types::{Caller, Event, TokenChunk};
use mains_wire::http::{
    ChatChoice, ChatChunk, ChatChunkChoice, ChatCompletion, ChatDelta, ChatLogprobs, ChatMessage,
    ChatRequest, Streaming, UsageBody,
};

use crate::answer::{Answer, Head, collect};
use crate::errors::ApiError;
use crate::sse::{self, Encode, set_request_id};
use crate::{App, body};

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Response, ApiError> {
    let body = body::read(body).await?;
    let ChatRequest { generate, streaming } = ChatRequest::parse(&body, body::new_id("chatcmpl-")?)?;
    drop(body);
    let head = Head::new(&generate, Timestamp::now());
    let generation = app.backend.generate(caller, generate).await?;
    let mut head = head.started(&generation.started);
    if let Some(streaming) = streaming {
        let id = head.id.clone();
        return Ok(sse::respond(&id, generation, ChatEncoder { head, streaming }));
    }
    let answers = collect(generation, &mut head).await?;
    let id = head.id.clone();
    let mut response = axum::Json(whole(head, answers)).into_response();
    set_request_id(&mut response, &id);
    Ok(response)
}

fn whole(head: Head, answers: Vec<Answer>) -> ChatCompletion {
    let wants_logprobs = head.top_logprobs.is_some();
    let choices = (0..)
        .zip(answers)
        .map(|(index, answer)| ChatChoice {
            index,
            message: ChatMessage {
                role: "assistant".into(),
                content: answer.text,
                refusal: None,
            },
            logprobs: wants_logprobs.then(|| ChatLogprobs::new(&answer.logprobs)),
            finish_reason: answer
                .reason
                .map_or("stop", mains_types::FinishReason::name)
                .into(),
        })
        .collect();
    ChatCompletion {
        usage: head.usage(),
        id: head.id,
        object: "chat.completion".into(),
        created: head.created,
        model: head.model,
        system_fingerprint: head.fingerprint,
        choices,
    }
}

/// Frames of a streamed chat completion.
struct ChatEncoder {
    head: Head,
    streaming: Streaming,
}

impl ChatEncoder {
    fn chunk(&self, out: &mut Vec<u8>, choices: Vec<ChatChunkChoice<'_>>, usage: Option<UsageBody>) {
        sse::data(
            out,
            &ChatChunk {
                id: (&*self.head.id).into(),
                object: "chat.completion.chunk".into(),
                created: self.head.created,
                model: (&*self.head.model).into(),
                system_fingerprint: (&*self.head.fingerprint).into(),
                choices,
                usage: self.streaming.include_usage.then_some(usage),
            },
        );
    }

    fn tokens(&mut self, chunk: &TokenChunk, out: &mut Vec<u8>) {
        self.head.count(&chunk.ids);
        let logprobs = self
            .head
            .top_logprobs
            .filter(|_| !chunk.logprobs.is_empty())
            .map(|_| ChatLogprobs::new(&chunk.logprobs));
        if chunk.text.is_empty() && logprobs.is_none() {
            return;
        }
        let choice = ChatChunkChoice {
            index: chunk.choice.0,
            delta: ChatDelta {
                role: None,
                content: Some((&*chunk.text).into()),
            },
            logprobs,
            finish_reason: None,
        };
        self.chunk(out, vec![choice], None);
    }
}

impl Encode for ChatEncoder {
    fn start(&mut self, out: &mut Vec<u8>) {
        for index in 0..self.head.choices {
            let choice = ChatChunkChoice {
                index,
                delta: ChatDelta {
                    role: Some("assistant".into()),
                    content: Some("".into()),
                },
                logprobs: None,
                finish_reason: None,
            };
            self.chunk(out, vec![choice], None);
        }
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Tokens(chunk) => self.tokens(&chunk, out),
            Event::Finished { choice, reason } => {
                let choice = ChatChunkChoice {
                    index: choice.0,
                    delta: ChatDelta::default(),
                    logprobs: None,
                    finish_reason: Some(reason.name().into()),
                };
                self.chunk(out, vec![choice], None);
            }
            Event::Started(_) | Event::Done | Event::Failed(_) => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.streaming.include_usage {
            self.chunk(out, Vec::new(), Some(self.head.usage()));
        }
    }
}
