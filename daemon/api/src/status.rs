//! `GET /v1/status`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use mains_supervisor::{ModelState, ModelStatus, SensitivityState, Status};
use mains_wire::http::{self, LedgerStatus, ReservationBody, StatusBody};

use crate::devices::time;
use crate::{App, health};

pub(crate) async fn read(State(app): State<Arc<App>>) -> Json<StatusBody> {
    Json(status(&app))
}

/// The whole daemon at this moment.
pub(crate) fn status(app: &App) -> StatusBody {
    let status = app.backend.status();
    let unready = health::unready(app);
    let degraded = degraded(&status);
    let state = match (
        app.stopping() || status.draining,
        unready.is_empty(),
        degraded.is_empty(),
    ) {
        (true, ..) => "stopping",
        (false, false, _) => "unready",
        (false, true, false) => "degraded",
        (false, true, true) => "ready",
    };
    let reason = app.records.health().unready();
    StatusBody {
        state: state.to_owned(),
        reasons: unready.into_iter().chain(degraded).collect(),
        version: app.version.to_owned(),
        pid: std::process::id(),
        started_at: app.started.to_string(),
        uptime_s: Timestamp::now()
            .duration_since(app.started)
            .as_secs()
            .try_into()
            .unwrap_or(0),
        models: status.models.into_iter().map(model).collect(),
        reservations: status
            .reservations
            .into_iter()
            .map(|reservation| ReservationBody {
                device: reservation.device,
                model: reservation.model,
                bytes: reservation.bytes.0,
            })
            .collect(),
        ledger: LedgerStatus {
            ok: reason.is_none(),
            reason,
        },
    }
}

/// What is wrong although requests are taken.
fn degraded(status: &Status) -> Vec<String> {
    let mut reasons: Vec<String> = status
        .models
        .iter()
        .filter_map(|model| match model.state {
            ModelState::Failed => Some(format!("model {} cannot be loaded", model.name)),
            ModelState::Backoff => Some(format!(
                "the worker of model {} crashed {} times in a row; its next start waits",
                model.name, model.crashes_in_a_row
            )),
            _ => None,
        })
        .collect();
    if let Some(error) = &status.probe_error {
        reasons.push(format!("devices could not be probed: {error}"));
    }
    reasons
}

/// How far a measurement is, as clients see it.
pub(crate) fn sensitivity(state: &SensitivityState) -> http::SensitivityStatus {
    let mut status = http::SensitivityStatus {
        state: state.name().to_owned(),
        ..http::SensitivityStatus::default()
    };
    match state {
        SensitivityState::Waiting { groups, reason } => {
            status.done = Some(*groups);
            status.reason.clone_from(reason);
        }
        SensitivityState::Measuring { done, of } => {
            status.done = Some(*done);
            status.of = (*of > 0).then_some(*of);
        }
        SensitivityState::Failed(reason) => status.reason = Some(reason.clone()),
        SensitivityState::Unknown | SensitivityState::Measured | SensitivityState::Kept => {}
    }
    status
}

/// The shape of one model.
pub(crate) fn model(model: ModelStatus) -> http::ModelStatus {
    http::ModelStatus {
        name: model.name,
        path: model.path.display().to_string(),
        origin: model.origin.name().to_owned(),
        bytes: model.bytes.0,
        state: model.state.name().to_owned(),
        worker_pid: model.worker_pid,
        loaded_at: model.loaded_since.map(time),
        running: u32::try_from(model.running).unwrap_or(u32::MAX),
        queued: u32::try_from(model.queued).unwrap_or(u32::MAX),
        crashes: u32::try_from(model.crashes).unwrap_or(u32::MAX),
        retry_in_s: model.backoff.map(|backoff| backoff.as_secs()),
        last_error: model.last_error,
        walls_missing: model.walls_missing,
        sensitivity: sensitivity(&model.sensitivity),
    }
}
