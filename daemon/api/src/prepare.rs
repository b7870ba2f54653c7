//! `POST /admin/models/{id}/prepare`: makes the files of a plan ahead of its use.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use mains_supervisor::{Prepared, Progress, Step, VariantState};
use mains_types::Demand;
use mains_wire::http::{PrepareEvent, PreparedBody};
use tokio::sync::mpsc;

use crate::App;
use crate::errors::ApiError;
use crate::plan::{Parameters, demand};
use crate::query::Query;

/// Lines of progress that a file gets at the most: as many as a bar has steps that an eye tells apart.
const LINES: u64 = 200;

/// A line an event, as they happen. The files are made to their end whoever leaves.
pub(crate) async fn prepare(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let demand = demand(parameters)?;
    // What can be refused at once is: no such model, nothing fits.
    app.backend.plan(&id, &demand).await?;
    let (events, heard) = mpsc::unbounded_channel();
    let stopping = app.stopping.clone().cancelled_owned();
    tokio::spawn(make(app, id, demand, events));
    let lines = stream::unfold(heard, async |mut heard| {
        let event = heard.recv().await?;
        Some((line(&event), heard))
    })
    .take_until(stopping);
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((headers, Body::from_stream(lines.map(Ok::<_, Infallible>))).into_response())
}

/// Has the files made, and tells how it goes.
async fn make(app: Arc<App>, id: String, demand: Demand, events: mpsc::UnboundedSender<PrepareEvent>) {
    let (progress, steps) = mpsc::unbounded_channel();
    let making = app.backend.prepare(&id, &demand, progress);
    let (made, ()) = tokio::join!(making, tell(steps, &events));
    let last = match made {
        Ok(prepared) => PrepareEvent::Ready {
            variant: prepared.variant.to_string(),
            prepared: shape(&prepared),
            note: prepared.note,
        },
        Err(error) => PrepareEvent::Failed {
            error: error.to_string(),
        },
    };
    // Whoever asked may have left.
    let _gone = events.send(last);
}

/// Tells of [`LINES`] steps of each file.
async fn tell(mut steps: mpsc::UnboundedReceiver<Progress>, events: &mpsc::UnboundedSender<PrepareEvent>) {
    let mut last = None;
    while let Some(Progress { step, written, bytes }) = steps.recv().await {
        let told = (step, written.saturating_mul(LINES) / bytes.max(1));
        if last == Some(told) {
            continue;
        }
        last = Some(told);
        let step = match step {
            Step::Types => "types",
            Step::Layout => "layout",
        };
        let _gone = events.send(PrepareEvent::Progress {
            step: step.to_owned(),
            written,
            bytes,
        });
    }
}

/// What is there, as clients see it.
pub(crate) fn shape(prepared: &Prepared) -> PreparedBody {
    let variant = match prepared.state {
        VariantState::Stored => "stored",
        VariantState::Ready => "ready",
        VariantState::Missing => "missing",
    };
    PreparedBody {
        weights: prepared.weights.to_string(),
        variant: variant.to_owned(),
        packed: prepared.packed,
    }
}

fn line(event: &PrepareEvent) -> Bytes {
    let mut line = serde_json::to_vec(event).expect("an event has string keys, and a Vec takes all");
    line.push(b'\n');
    line.into()
}
