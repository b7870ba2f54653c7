//! `POST /v1/completions`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use mains_types::{Caller, Event, TokenChunk};
use mains_wire::http::{
    Completion, CompletionChoice, CompletionLogprobs, CompletionRequest, Streaming, UsageBody,
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
    let CompletionRequest { generate, streaming } = CompletionRequest::parse(&body, body::new_id("cmpl-")?)?;
    drop(body);
    let head = Head::new(&generate, Timestamp::now());
    let generation = app.backend.generate(caller, generate).await?;
    let mut head = head.started(&generation.started);
    if let Some(streaming) = streaming {
        let id = head.id.clone();
        let offsets = vec![0; head.choices as usize];
        let encoder = CompletionEncoder {
            head,
            streaming,
            offsets,
        };
        return Ok(sse::respond(&id, generation, encoder));
    }
    let answers = collect(generation, &mut head).await?;
    let mut response = axum::Json(whole(&head, &answers)).into_response();
    set_request_id(&mut response, &head.id);
    Ok(response)
}

fn frame<'a>(
    head: &'a Head,
    choices: Vec<CompletionChoice<'a>>,
    usage: Option<Option<UsageBody>>,
) -> Completion<'a> {
    Completion {
        id: (&*head.id).into(),
        object: "text_completion".into(),
        created: head.created,
        model: (&*head.model).into(),
        system_fingerprint: (&*head.fingerprint).into(),
        choices,
        usage,
    }
}

fn whole<'a>(head: &'a Head, answers: &'a [Answer]) -> Completion<'a> {
    let choices = (0..)
        .zip(answers)
        .map(|(index, answer)| CompletionChoice {
            index,
            text: (&*answer.text).into(),
            logprobs: head
                .top_logprobs
                .map(|top| CompletionLogprobs::new(&answer.logprobs, 0, top > 0).0),
            finish_reason: answer.reason.map(|reason| reason.name().into()),
        })
        .collect();
    frame(head, choices, Some(Some(head.usage())))
}

/// Frames of a streamed completion.
struct CompletionEncoder {
    head: Head,
    streaming: Streaming,
    /// Characters before the next token, a number a choice.
    offsets: Vec<usize>,
}

impl CompletionEncoder {
    fn chunk(&self, out: &mut Vec<u8>, choices: Vec<CompletionChoice<'_>>, usage: Option<UsageBody>) {
        let usage = self.streaming.include_usage.then_some(usage);
        sse::data(out, &frame(&self.head, choices, usage));
    }

    fn tokens(&mut self, chunk: &TokenChunk, out: &mut Vec<u8>) {
        self.head.count(&chunk.ids);
        let mut logprobs = None;
        if let Some(top) = self.head.top_logprobs
            && !chunk.logprobs.is_empty()
            && let Some(offset) = self.offsets.get_mut(chunk.choice.0 as usize)
        {
            let (shape, after) = CompletionLogprobs::new(&chunk.logprobs, *offset, top > 0);
            *offset = after;
            logprobs = Some(shape);
        }
        if chunk.text.is_empty() && logprobs.is_none() {
            return;
        }
        let choice = CompletionChoice {
            index: chunk.choice.0,
            text: (&*chunk.text).into(),
            logprobs,
            finish_reason: None,
        };
        self.chunk(out, vec![choice], None);
    }
}

impl Encode for CompletionEncoder {
    fn start(&mut self, _: &mut Vec<u8>) {}

    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Tokens(chunk) => self.tokens(&chunk, out),
            Event::Finished { choice, reason } => {
                let choice = CompletionChoice {
                    index: choice.0,
                    text: "".into(),
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
