//! `GET /v1/models`, `/v1/models/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mains_wire::http::{ModelBody, ModelList};

use crate::App;
use crate::errors::ApiError;

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

fn unknown<'a>(id: &str, known: impl Iterator<Item = &'a str>) -> ApiError {
    let known: Vec<&str> = known.collect();
    ApiError::new(
        StatusCode::NOT_FOUND,
        "model_not_found",
        format!("there is no model {id:?}; known are: {}", known.join(", ")),
    )
    .with_param("model")
}
