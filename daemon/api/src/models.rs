//! `GET /v1/models`, `/v1/models/{id}`, `/v1/models/{id}/details`, and `DELETE /admin/models/{id}` on the administration socket.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use mains_wire::http::{DetailsBody, ModelBody, ModelList, RemovedBody};
use serde::Deserialize;

use crate::App;
use crate::errors::ApiError;
use crate::query::Query;
use crate::status;

pub(crate) async fn list(State(app): State<Arc<App>>) -> Json<ModelList> {
    let models = app.backend.models();
    Json(ModelList::new(
        models.into_iter().map(|model| (model.name, model.created)),
    ))
}

pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<ModelBody>, ApiError> {
    let models = app.backend.models();
    match models.iter().find(|model| model.name == id) {
        Some(model) => Ok(Json(ModelBody::new(id, model.created))),
        None => Err(unknown(&id, models.iter().map(|model| &*model.name))),
    }
}

pub(crate) async fn details(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<DetailsBody>, ApiError> {
    let found = app.store.describe(&id).await?;
    let made = found.made.into_iter().map(|(name, bytes)| (name, bytes.0));
    let (manifest, facts) = (found.manifest.as_ref(), &*found.facts);
    Ok(Json(DetailsBody::new(
        &found.source,
        manifest,
        facts,
        status::sensitivity(&found.sensitivity),
        made.collect(),
    )))
}

/// The bytes of a GGUF file. Whoever asks decides where it lies.
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let export = app.store.export(&id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, export.bytes.0.to_string()),
    ];
    // A piece that failed breaks the connection, so that nobody takes what came for the whole.
    let pieces = stream::unfold(export.pieces, async |mut pieces| {
        let piece = pieces.recv().await?;
        if let Err(error) = &piece {
            tracing::warn!(%error, "an export broke off");
        }
        Some((piece.map(Bytes::from), pieces))
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removal {
    /// Unload it first, when it is loaded.
    #[serde(default)]
    unload: bool,
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(removal): Query<Removal>,
) -> Result<Json<RemovedBody>, ApiError> {
    let removed = app.store.remove(&id, removal.unload).await?;
    let (bytes, shared_with) =
        removed.map_or_else(Default::default, |removed| (removed.bytes.0, removed.shared_with));
    Ok(Json(RemovedBody {
        model: id,
        bytes,
        shared_with,
    }))
}

fn unknown<'a>(id: &str, known: impl Iterator<Item = &'a str>) -> ApiError {
    let known: Vec<&str> = known.collect();
    ApiError::new(
        StatusCode::NOT_FOUND,
        "model_not_found",
        format!("there is no model {id:?}; known are: {}", known.join(", ")),
    )
    .with_param("model")
}
