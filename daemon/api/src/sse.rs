//! Server-sent events: what a running request says, as the bytes of a stream.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use mains_supervisor::Generation;
use mains_types::{Event, GenerationError, GenerationErrorKind};
use serde::Serialize;

use crate::errors::ApiError;

/// Events that go into one write when they are there already: about what a batch of choices gives in one step.
const EVENTS_A_WRITE: usize = 64;

/// Turns events into the frames of one endpoint. Pure: bytes are appended to `out`.
pub(crate) trait Encode: Send + 'static {
    /// What is sent before the first event.
    fn start(&mut self, out: &mut Vec<u8>);

    /// What `event` adds. `Done` and `Failed` are not for here.
    fn event(&mut self, event: Event, out: &mut Vec<u8>);

    /// What is sent after the last event of a request that ended well, before `[DONE]`.
    fn finish(&mut self, out: &mut Vec<u8>);
}

/// Appends one event with `data` as JSON.
pub(crate) fn data(out: &mut Vec<u8>, data: &impl Serialize) {
    out.extend_from_slice(b"data: ");
    serde_json::to_writer(&mut *out, data)
        .expect("bodies have string keys and finite numbers, and a Vec takes all");
    out.extend_from_slice(b"\n\n");
}

/// An answer that streams `generation`. Dropping it, as the server does when the client is gone, cancels the request.
pub(crate) fn respond(id: &str, generation: Generation, encoder: impl Encode) -> Response {
    let body = stream::unfold(Streamer::new(generation, encoder), |mut streamer| async {
        let bytes = streamer.next().await?;
        Some((Ok::<_, Infallible>(bytes), streamer))
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    set_request_id(&mut response, id);
    response
}

/// The header by which OpenAI's clients know a request.
pub(crate) fn set_request_id(response: &mut Response, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert("x-request-id", id);
    }
}

struct Streamer<E> {
    generation: Option<Generation>,
    encoder: E,
    started: bool,
}

impl<E: Encode> Streamer<E> {
    const fn new(generation: Generation, encoder: E) -> Self {
        Self {
            generation: Some(generation),
            encoder,
            started: false,
        }
    }

    /// The next bytes; `None` after the last.
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        if !self.started {
            self.started = true;
            self.encoder.start(&mut out);
            return Some(Bytes::from(out));
        }
        // A chunk of tokens may have no text yet; an empty write would end a chunked body.
        while out.is_empty() {
            let generation = self.generation.as_mut()?;
            let event = generation.events.recv().await;
            let mut last = self.push(event, &mut out);
            for _ in 1..EVENTS_A_WRITE {
                // Taken only when it is pushed as well: what is taken and left behind is lost to the client.
                let ready = self.generation.as_mut().filter(|_| !last);
                let Some(event) = ready.and_then(|generation| generation.events.try_recv().ok()) else {
                    break;
                };
                last = self.push(Some(event), &mut out);
            }
            if last {
                self.generation = None;
            }
        }
        Some(Bytes::from(out))
    }

    /// Appends what `event` says; whether it was the last.
    fn push(&mut self, event: Option<Event>, out: &mut Vec<u8>) -> bool {
        match event {
            Some(Event::Done) => {
                self.encoder.finish(out);
                out.extend_from_slice(b"data: [DONE]\n\n");
                true
            }
            Some(Event::Failed(error)) => {
                data(out, &ApiError::from(error).body);
                true
            }
            None => {
                data(out, &ApiError::from(broke_off()).body);
                true
            }
            Some(event) => {
                self.encoder.event(event, out);
                false
            }
        }
    }
}

/// The error of a channel that ended without saying how.
pub(crate) fn broke_off() -> GenerationError {
    GenerationError {
        kind: GenerationErrorKind::Internal,
        message: "the request ended without a result: a defect of mains; ask again".to_owned(),
        param: None,
    }
}
