//! `GET /healthz`, `/readyz`: for monitoring and load balancers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mains_wire::http::ProbeBody;

use crate::App;

/// The daemon answers, so it lives.
pub(crate) async fn alive() -> Json<ProbeBody> {
    Json(ProbeBody {
        status: "ok".to_owned(),
        reasons: Vec::new(),
    })
}

/// Whether a new request would be taken.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<ProbeBody>) {
    let reasons = unready(&app);
    let (code, status) = if reasons.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unready")
    };
    (
        code,
        Json(ProbeBody {
            status: status.to_owned(),
            reasons,
        }),
    )
}

/// Why new requests would be refused; empty when they are taken.
pub(crate) fn unready(app: &App) -> Vec<String> {
    let mut reasons = Vec::new();
    if app.stopping() || app.backend.status().draining {
        reasons.push("the daemon is shutting down".to_owned());
    }
    reasons.extend(app.records.health().unready());
    reasons
}
