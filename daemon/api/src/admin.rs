//! The routes of the administration socket alone.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use mains_types::Demand;
use mains_wire::http::{LogLine, ModelChanged, NoPlanBody, PlanBody, ReloadBody, SupportBody};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::io::ReaderStream;

use crate::errors::ApiError;
use crate::query::Query;
use crate::{App, KEPT_LINES, body, devices, status, usage};

/// Lines of `/admin/logs` when no number is given.
const DEFAULT_LINES: usize = 100;

pub(crate) async fn load(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<ModelChanged>, ApiError> {
    app.backend.load(&id).await?;
    changed(&app, &id)
}

pub(crate) async fn unload(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<ModelChanged>, ApiError> {
    app.backend.unload(&id).await?;
    changed(&app, &id)
}

fn changed(app: &App, id: &str) -> Result<Json<ModelChanged>, ApiError> {
    app.backend
        .status()
        .models
        .into_iter()
        .find(|model| model.name == id)
        .map(|model| Json(status::model(model)))
        .ok_or_else(|| {
            ApiError::new(
                StatusCode::NOT_FOUND,
                "model_not_found",
                format!("model {id:?} is gone from the configuration"),
            )
        })
}

pub(crate) async fn reload(State(app): State<Arc<App>>) -> Result<Json<ReloadBody>, ApiError> {
    app.operator
        .reload()
        .await
        .map(Json)
        .map_err(|why| ApiError::new(StatusCode::BAD_REQUEST, "invalid_configuration", why))
}

/// The bytes of a copy that was checked. Whoever asks decides where it lies: the daemon itself may write nowhere else.
pub(crate) async fn backup(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let path = app.operator.scratch_dir().join(body::new_id("backup-")?);
    let to = path.clone();
    let copied = usage::read(&app, move |records| records.backup(&to)).await;
    let file = match &copied {
        Ok(()) => tokio::fs::File::open(&path).await,
        Err(_) => Err(std::io::ErrorKind::NotFound.into()),
    };
    // Without a name it is gone with the last descriptor, however this request ends.
    let removed = tokio::fs::remove_file(&path).await;
    copied?;
    let failed = |error: std::io::Error| ApiError::internal(format!("{}: {error}", path.display()));
    let file = file.map_err(failed)?;
    removed.map_err(failed)?;
    let bytes = file.metadata().await.map_err(failed)?.len();
    let headers = [
        (header::CONTENT_TYPE, "application/vnd.sqlite3".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogParameters {
    lines: Option<usize>,
    #[serde(default)]
    follow: bool,
}

pub(crate) async fn logs(State(app): State<Arc<App>>, Query(parameters): Query<LogParameters>) -> Response {
    let (kept, next) = app.logs.tail(parameters.lines.unwrap_or(DEFAULT_LINES));
    let mut bytes = Vec::new();
    for line in kept {
        write_line(&mut bytes, &line);
    }
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    if !parameters.follow {
        return (headers, bytes).into_response();
    }
    let kept = stream::iter((!bytes.is_empty()).then(|| Bytes::from(bytes)));
    let stopping = app.stopping.clone().cancelled_owned();
    let lines = kept.chain(stream::unfold(next, following)).take_until(stopping);
    (
        headers,
        Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>)),
    )
        .into_response()
}

async fn following(mut next: Receiver<Arc<LogLine>>) -> Option<(Bytes, Receiver<Arc<LogLine>>)> {
    let mut bytes = Vec::new();
    match next.recv().await {
        Ok(line) => write_line(&mut bytes, &line),
        Err(RecvError::Lagged(missed)) => write_line(
            &mut bytes,
            &LogLine {
                time: jiff::Timestamp::now().to_string(),
                level: "WARN".to_owned(),
                target: "mains_api::admin".to_owned(),
                message: format!("{missed} lines came faster than they were read and were left out"),
                fields: serde_json::Map::new(),
            },
        ),
        Err(RecvError::Closed) => return None,
    }
    Some((Bytes::from(bytes), next))
}

fn write_line(out: &mut Vec<u8>, line: &LogLine) {
    serde_json::to_writer(&mut *out, line).expect("a line has string keys, and a Vec takes all");
    out.push(b'\n');
}

pub(crate) async fn support(State(app): State<Arc<App>>) -> Json<SupportBody> {
    let mut plans = Vec::new();
    let mut without_plan = Vec::new();
    for model in app.backend.models() {
        match app.backend.plan(&model.name, &Demand::default()).await {
            Ok(plan) => plans.push(PlanBody::from(&plan)),
            Err(error) => without_plan.push(NoPlanBody {
                model: model.name,
                error: error.to_string(),
            }),
        }
    }
    let devices = app.backend.inventory(false).await.ok();
    let (log, _) = app.logs.tail(KEPT_LINES);
    Json(SupportBody {
        status: status::status(&app),
        devices: devices.as_ref().map(devices::shape),
        plans,
        without_plan,
        configuration: app.operator.configuration(),
        log: log.into_iter().map(Arc::unwrap_or_clone).collect(),
    })
}
