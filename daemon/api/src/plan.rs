//! `GET /v1/models/{id}/plan` for this box, `POST` for the one whose devices are in the body.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mains_contract::{Bytes, Inventory};
use mains_types::{Demand, Policy};
use mains_wire::http::{DevicesBody, InventoryError, PlanBody};
use serde::Deserialize;

use crate::errors::ApiError;
use crate::query::{Query, bad_query};
use crate::{App, body, prepare};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    context: Option<u32>,
    parallel: Option<u32>,
    /// Ids with commas between them.
    device: Option<String>,
    /// Bytes.
    memory: Option<u64>,
    /// Bytes.
    weights: Option<u64>,
    policy: Option<String>,
    /// Whether plans with other bytes of weights are told beside it.
    #[serde(default)]
    explain: bool,
}

pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<PlanBody>, ApiError> {
    let explain = parameters.explain;
    let demand = demand(parameters)?;
    let plan = app.backend.plan(&id, &demand).await?;
    let mut body = PlanBody::from(&plan);
    body.prepared = Some(prepare::shape(&app.backend.prepared(&id, &plan).await?));
    if explain {
        let around = app.backend.around(&id, &demand, &plan, None).await?;
        body.around = around.iter().map(Into::into).collect();
    }
    Ok(Json(body))
}

pub(crate) async fn elsewhere(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
    body: Body,
) -> Result<Json<PlanBody>, ApiError> {
    let explain = parameters.explain;
    let demand = demand(parameters)?;
    let inventory = inventory(&body::read(body).await?)?;
    let plan = app.backend.plan_elsewhere(&id, &demand, &inventory).await?;
    let mut body = PlanBody::from(&plan);
    if explain {
        let around = app.backend.around(&id, &demand, &plan, Some(&inventory)).await?;
        body.around = around.iter().map(Into::into).collect();
    }
    Ok(Json(body))
}

pub(crate) fn demand(parameters: Parameters) -> Result<Demand, ApiError> {
    for (name, value) in [("context", parameters.context), ("parallel", parameters.parallel)] {
        if value == Some(0) {
            return Err(bad_query(&format!("{name}: 0 is no number of them; leave it out")).with_param(name));
        }
    }
    let policy = parameters.policy.map(|name| {
        let known = || Policy::ALL.map(Policy::name).join(", ");
        Policy::from_name(&name).ok_or_else(|| {
            bad_query(&format!("policy: {name:?} is none of {}", known())).with_param("policy")
        })
    });
    Ok(Demand {
        context: parameters.context,
        parallel: parameters.parallel,
        devices: Demand::devices_in(parameters.device.as_deref()),
        memory: parameters.memory.map(Bytes),
        weights: parameters.weights.map(Bytes),
        policy: policy.transpose()?,
    })
}

/// The devices in the body of a request.
fn inventory(body: &[u8]) -> Result<Inventory, ApiError> {
    let refused = |why: &dyn std::fmt::Display| {
        let message =
            format!("the body is no inventory as `mains devices --json` and GET /v1/devices give it: {why}");
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_inventory", message)
    };
    let body: DevicesBody = serde_json::from_slice(body).map_err(|error| refused(&error))?;
    body.try_into().map_err(|error: InventoryError| refused(&error))
}
