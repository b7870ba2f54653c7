//! `GET /metrics`: Prometheus' text format (OpenMetrics 1.0).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mains_ledger::Health;
use mains_supervisor::{SensitivityState, Status};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::App;
use crate::device_metrics;
use crate::errors::ApiError;
use crate::latency_metrics::LatencyMetrics;

/// What the interface counts itself. Everything else is asked for at each scrape.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    responses: Family<ResponseLabels, Counter>,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// Connections closed for want of room.
    pub(crate) refused_connections: Counter,
    /// Requests of peers without a team.
    pub(crate) refused_peers: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResponseLabels {
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    model: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    model: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReservationLabels {
    model: String,
    device: String,
}

impl Counters {
    pub(crate) fn response(&self, route: &str, status: StatusCode) {
        self.responses
            .get_or_create(&ResponseLabels {
                route: route.to_owned(),
                status: status.as_u16(),
            })
            .inc();
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_responses",
            "Answers by route and status; a stream counts when it begins",
            self.responses.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "refused_connections",
            "Connections closed because there were too many",
            self.refused_connections.clone(),
        );
        registry.register(
            "refused_peers",
            "Requests of users without a team or without the right to administer",
            self.refused_peers.clone(),
        );
    }
}

pub(crate) async fn read(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let mut registry = Registry::with_prefix("mains");
    app.counters.register(&mut registry);
    let status = app.backend.status();
    register_totals(&mut registry, &status);
    register_models(&mut registry, &status);
    register_ledger(&mut registry, &app.records.health());
    if let Some(inventory) = app.backend.known_devices() {
        device_metrics::register(&mut registry, &inventory);
    }
    registry.register_collector(Box::new(LatencyMetrics(status.totals.latencies)));
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|_| ApiError::internal("the metrics could not be written"))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

fn register_totals(registry: &mut Registry, status: &Status) {
    let totals = &status.totals;
    let requests = Family::<OutcomeLabels, Counter>::default();
    for ((model, outcome), count) in &totals.requests {
        let labels = OutcomeLabels {
            model: model.clone(),
            outcome,
        };
        requests.get_or_create(&labels).inc_by(*count);
    }
    registry.register("requests", "Requests that ended, by model and outcome", requests);
    let tokens = totals.tokens.iter();
    let by_model = |counts: Vec<(&String, u64)>| {
        let family = Family::<ModelLabels, Counter>::default();
        for (model, count) in counts {
            family
                .get_or_create(&ModelLabels { model: model.clone() })
                .inc_by(count);
        }
        family
    };
    let plain = |counts: &std::collections::BTreeMap<String, u64>| {
        by_model(counts.iter().map(|(model, count)| (model, *count)).collect())
    };
    for (name, help, family) in [
        (
            "prompt_tokens",
            "Tokens of prompts",
            by_model(tokens.clone().map(|(model, t)| (model, t.prompt)).collect()),
        ),
        (
            "cached_tokens",
            "Tokens of prompts that a cache had",
            by_model(tokens.clone().map(|(model, t)| (model, t.cached)).collect()),
        ),
        (
            "completion_tokens",
            "Tokens passed on to clients",
            by_model(tokens.map(|(model, t)| (model, t.completion)).collect()),
        ),
        ("loads", "Loads that succeeded", plain(&totals.loads)),
        ("load_failures", "Loads that failed", plain(&totals.load_failures)),
        ("worker_crashes", "Workers that died", plain(&totals.crashes)),
    ] {
        registry.register(name, help, family);
    }
}

fn register_models(registry: &mut Registry, status: &Status) {
    let states = Family::<StateLabels, Gauge>::default();
    let running = Family::<ModelLabels, Gauge>::default();
    let queued = Family::<ModelLabels, Gauge>::default();
    for model in &status.models {
        let labels = ModelLabels {
            model: model.name.clone(),
        };
        running.get_or_create(&labels).set(signed(model.running as u64));
        queued.get_or_create(&labels).set(signed(model.queued as u64));
        states
            .get_or_create(&StateLabels {
                model: model.name.clone(),
                state: model.state.name(),
            })
            .set(1);
    }
    register_sensitivity(registry, status);
    let reserved = Family::<ReservationLabels, Gauge>::default();
    for reservation in &status.reservations {
        reserved
            .get_or_create(&ReservationLabels {
                model: reservation.model.clone(),
                device: reservation.device.clone(),
            })
            .set(signed(reservation.bytes.0));
    }
    registry.register("running_requests", "Requests being answered", running);
    registry.register("queued_requests", "Requests that wait", queued);
    registry.register("model_state", "1 for the state that a model is in", states);
    registry.register("reserved_bytes", "Bytes that loaded models hold", reserved);
}

fn register_sensitivity(registry: &mut Registry, status: &Status) {
    let states = Family::<StateLabels, Gauge>::default();
    let steps = Family::<ModelLabels, Gauge>::default();
    for model in &status.models {
        let labels = StateLabels {
            model: model.name.clone(),
            state: model.sensitivity.name(),
        };
        states.get_or_create(&labels).set(1);
        if let SensitivityState::Measuring { done, .. } | SensitivityState::Waiting { groups: done, .. } =
            model.sensitivity
        {
            let model = model.name.clone();
            steps.get_or_create(&ModelLabels { model }).set(done.into());
        }
    }
    registry.register(
        "sensitivity_state",
        "1 for how far the measurement of what types cost a model is",
        states,
    );
    registry.register(
        "sensitivity_steps",
        "Steps of a measurement of what types cost a model that are done, until it is over",
        steps,
    );
}

fn register_ledger(registry: &mut Registry, health: &Health) {
    let ready: Gauge = Gauge::default();
    ready.set(i64::from(health.unready().is_none()));
    registry.register("ledger_ready", "1 while requests can be recorded in time", ready);
    let wait = Gauge::<f64, std::sync::atomic::AtomicU64>::default();
    wait.set(health.oldest_wait.map_or(0.0, |wait| wait.as_secs_f64()));
    registry.register(
        "ledger_oldest_wait_seconds",
        "How long the oldest commit has waited",
        wait,
    );
    let unrecorded: Gauge = Gauge::default();
    unrecorded.set(signed(health.unrecorded as u64));
    registry.register(
        "ledger_unrecorded",
        "Settlements that a full disk delays",
        unrecorded,
    );
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
