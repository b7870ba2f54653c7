//! `GET /v1/devices`, and `POST /admin/devices/measure` on the administration socket.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use mains_contract::Inventory;
use mains_supervisor::{MeasureStep, SAMPLES, Sample};
use mains_wire::http::{DevicesBody, MeasureEvent, SampleBody};
use serde::Deserialize;

use crate::App;
use crate::errors::ApiError;
use crate::query::{Query, bad_query};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// Ask the probes again.
    #[serde(default)]
    refresh: bool,
    /// So many readings of each device, at most [`SAMPLES`].
    history: Option<usize>,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<DevicesBody>, ApiError> {
    let count = parameters.history;
    if count.is_some_and(|count| count == 0 || count > SAMPLES) {
        return Err(bad_query(&format!(
            "history: a number of readings from 1 to {SAMPLES}"
        )));
    }
    let mut body = shape(&app.backend.inventory(parameters.refresh).await?);
    if let Some(count) = count {
        for device in &mut body.devices {
            let readings = app.backend.device_history(&device.id, count);
            device.history = Some(readings.into_iter().map(reading).collect());
        }
    }
    Ok(Json(body))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MeasureParameters {
    /// Every device that a driver computes on, when absent.
    device: Option<String>,
}

/// A line an event, as they happen. Whoever leaves ends the measurement.
pub(crate) async fn measure(
    State(app): State<Arc<App>>,
    Query(parameters): Query<MeasureParameters>,
) -> Result<Response, ApiError> {
    let steps = app.backend.measure(parameters.device.as_deref()).await?;
    let stopping = app.stopping.clone().cancelled_owned();
    let lines = stream::unfold(steps, async |mut steps| {
        let step = steps.recv().await?;
        Some((line(&step), steps))
    })
    .take_until(stopping);
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    Ok((headers, body).into_response())
}

fn line(step: &MeasureStep) -> Bytes {
    let event = match step {
        MeasureStep::Progress { device, done, of } => MeasureEvent::Progress {
            device: device.clone(),
            done: *done,
            of: *of,
        },
        MeasureStep::Measured { device, measured } => MeasureEvent::Measured {
            device: device.clone(),
            measured: measured.into(),
        },
        MeasureStep::Failed { device, reason } => MeasureEvent::Failed {
            device: device.clone(),
            error: reason.clone(),
        },
    };
    let mut line = serde_json::to_vec(&event).expect("an event has string keys, and a Vec takes all");
    line.push(b'\n');
    line.into()
}

pub(crate) fn shape(inventory: &Inventory) -> DevicesBody {
    DevicesBody::new(inventory, time(inventory.probed_at))
}

fn reading(sample: Sample) -> SampleBody {
    SampleBody {
        at: time(sample.at),
        state: sample.state.name().to_owned(),
        temperature_c: sample.temperature_c,
        power_w: sample.power_w,
        energy_j: sample.energy_j,
        utilization: sample.utilization,
        free_bytes: sample.memory_free.map(|free| free.0),
        throttled: sample.throttled,
        ecc: sample.ecc.map(Into::into),
        link: sample.link.map(Into::into),
    }
}

/// RFC 3339, UTC. A clock beyond the year 9999 has no such form and is given as that of 1970.
pub(crate) fn time(time: std::time::SystemTime) -> String {
    Timestamp::try_from(time)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}
