//! `GET /v1/models/{id}/plan`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use mains_contract::Bytes;
use mains_types::Demand;
use mains_wire::http::PlanBody;
use serde::Deserialize;

use crate::App;
use crate::errors::ApiError;
use crate::query::{Query, bad_query};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    context: Option<u32>,
    parallel: Option<u32>,
    device: Option<String>,
    /// Bytes.
    memory: Option<u64>,
}

pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<PlanBody>, ApiError> {
    for (name, value) in [("context", parameters.context), ("parallel", parameters.parallel)] {
        if value == Some(0) {
            return Err(bad_query(&format!("{name}: 0 is no number of them; leave it out")).with_param(name));
        }
    }
    let demand = Demand {
        context: parameters.context,
        parallel: parameters.parallel,
        device: parameters.device,
        memory: parameters.memory.map(Bytes),
    };
    Ok(Json(PlanBody::from(&app.backend.plan(&id, &demand).await?)))
}
