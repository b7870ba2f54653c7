//! `GET /v1/devices`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use mains_contract::Inventory;
use mains_wire::http::DevicesBody;
use serde::Deserialize;

use crate::App;
use crate::errors::ApiError;
use crate::query::Query;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// Ask the probes again.
    #[serde(default)]
    refresh: bool,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<DevicesBody>, ApiError> {
    Ok(Json(shape(&app.backend.inventory(parameters.refresh).await?)))
}

pub(crate) fn shape(inventory: &Inventory) -> DevicesBody {
    DevicesBody::new(inventory, time(inventory.probed_at))
}

/// RFC 3339, UTC. A clock beyond the year 9999 has no such form and is given as that of 1970.
pub(crate) fn time(time: std::time::SystemTime) -> String {
    Timestamp::try_from(time)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}
