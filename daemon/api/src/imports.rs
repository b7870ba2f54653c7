//! `/admin/imports`: a model comes in pieces, by offset, and can go on where it stopped.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes as Raw;
use futures_util::{StreamExt, stream};
use mains_contract::Bytes;
use mains_supervisor::{ImportStep, SupervisorError};
use mains_types::ImportRequest;
use mains_wire::http::{
    FinishBody, ImportBody, ImportEvent, ImportStateBody, ImportedBody, ReceivedBody, RequestError,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::errors::ApiError;
use crate::query::Query;
use crate::{App, body};

/// Bytes that are gathered before they are written: one step on a thread for disks each.
const WRITE_BYTES: usize = 1 << 20;

pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    body: Body,
) -> Result<Json<ImportStateBody>, ApiError> {
    let request: ImportBody = read(body).await?;
    let request = ImportRequest::try_from(request)?;
    let state = app.store.begin(request).await?;
    Ok(Json(state.into()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// Where the body's bytes belong in the file.
    offset: u64,
}

/// Takes bytes for as long as they come. Those of a connection that breaks are kept as well.
pub(crate) async fn write(
    State(app): State<Arc<App>>,
    Path((id, number)): Path<(String, String)>,
    Query(place): Query<Place>,
    body: Body,
) -> Result<Json<ReceivedBody>, ApiError> {
    let number = number
        .parse()
        .map_err(|_| RequestError::invalid("number", "files are numbered from 0"))?;
    // A connection that ends drops its request; what came of it is still to be made safe.
    let taken = tokio::spawn(async move { take(&app, id, number, Bytes(place.offset), body).await });
    let taken = taken.await;
    taken.unwrap_or_else(|error| Err(ApiError::internal(error.to_string())))
}

async fn take(
    app: &App,
    id: String,
    number: usize,
    mut at: Bytes,
    body: Body,
) -> Result<Json<ReceivedBody>, ApiError> {
    let mut chunks = body.into_data_stream();
    let broken = match keep(app, &id, number, &mut at, &mut chunks).await {
        Ok(broken) => broken,
        Err(error) => {
            drain(chunks).await;
            return Err(error.into());
        }
    };
    let received = app.store.settle(id, number).await?.0;
    match broken {
        None => Ok(Json(ReceivedBody { received })),
        Some(error) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "broken_body",
            format!("the request body broke off: {error}"),
        )),
    }
}

/// Writes the bytes that come, to the end of the body or to where it breaks, which is returned.
async fn keep(
    app: &App,
    id: &str,
    number: usize,
    at: &mut Bytes,
    chunks: &mut BodyDataStream,
) -> Result<Option<axum::Error>, SupervisorError> {
    let mut gathered = Vec::with_capacity(WRITE_BYTES);
    let broken = loop {
        match chunks.next().await {
            Some(Ok(chunk)) => gathered.extend_from_slice(&chunk),
            Some(Err(error)) => break Some(error),
            None => break None,
        }
        if gathered.len() >= WRITE_BYTES {
            put(app, id, number, at, &mut gathered).await?;
        }
    };
    put(app, id, number, at, &mut gathered).await?;
    Ok(broken)
}

/// Drops what is still on its way, so that a client which writes everything before it reads gets the answer.
async fn drain(mut chunks: BodyDataStream) {
    let mut seen = 0_usize;
    while let Some(Ok(chunk)) = chunks.next().await {
        seen = seen.saturating_add(chunk.len());
        if seen > body::DRAIN_BYTES {
            return;
        }
    }
}

async fn put(
    app: &App,
    id: &str,
    number: usize,
    at: &mut Bytes,
    gathered: &mut Vec<u8>,
) -> Result<(), SupervisorError> {
    let bytes = std::mem::replace(gathered, Vec::with_capacity(WRITE_BYTES));
    let count = Bytes::from(bytes.len());
    app.store.write(id.to_owned(), number, *at, bytes).await?;
    *at += count;
    Ok(())
}

/// A line an event, as they happen. Whoever leaves leaves the import to its end.
pub(crate) async fn finish(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, ApiError> {
    let body: FinishBody = read(body).await?;
    let steps = app.store.finish(id, body.digests()?).await?;
    let lines = stream::unfold(steps, async |mut steps| {
        let step = steps.recv().await?;
        Some((line(step), steps))
    });
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    Ok((headers, body).into_response())
}

fn line(step: ImportStep) -> Raw {
    let event = match step {
        ImportStep::Progress { phase, done, of } => ImportEvent::Progress {
            phase: phase.name().to_owned(),
            done: done.0,
            of: of.map(|of| of.0),
        },
        ImportStep::Imported(imported) => ImportEvent::Imported(ImportedBody {
            model: imported.name,
            family: imported.family,
            content: imported.content.to_string(),
            bytes: imported.bytes.0,
            files: imported.files as u64,
            shared: imported.shared,
        }),
        ImportStep::Failed(error) => ImportEvent::Failed {
            error: error.to_string(),
        },
    };
    let mut line = serde_json::to_vec(&event).expect("an event has string keys, and a Vec takes all");
    line.push(b'\n');
    line.into()
}

/// The JSON of a body.
async fn read<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    let bytes = body::read(body).await?;
    let parsed = serde_json::from_slice(&bytes);
    Ok(parsed.map_err(|error| RequestError::malformed(&error))?)
}
