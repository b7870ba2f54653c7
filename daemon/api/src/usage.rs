//! `GET /v1/usage`, `/v1/requests`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use jiff::Timestamp;
use mains_ledger::{LedgerError, RequestQuery, RequestRow, UsageBy, UsageQuery, UsageRow};
use mains_types::Settlement;
use mains_wire::http;
use serde::Deserialize;

use crate::access::Scope;
use crate::errors::ApiError;
use crate::query::{Query, bad_query, since};
use crate::{App, Records};

/// Rows of `/v1/requests` when no limit is given: a screen to scroll, and fast.
const DEFAULT_ROWS: u32 = 1_000;

/// The most rows of one answer: about 40 MB of JSON, which the daemon holds at once.
const MAX_ROWS: u32 = 100_000;

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    #[default]
    Team,
    Model,
    Day,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SumParameters {
    #[serde(default)]
    by: By,
    since: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowParameters {
    since: Option<String>,
    limit: Option<u32>,
}

pub(crate) async fn sums(
    State(app): State<Arc<App>>,
    Extension(scope): Extension<Scope>,
    Query(parameters): Query<SumParameters>,
) -> Result<Json<http::UsageReport>, ApiError> {
    let since = since(parameters.since.as_deref(), Timestamp::now())?;
    let team = scope.team();
    let query = UsageQuery {
        by: match parameters.by {
            By::Team => UsageBy::Team,
            By::Model => UsageBy::Model,
            By::Day => UsageBy::Day,
        },
        since,
        team: team.clone(),
    };
    let rows = read(&app, move |records| records.usage(&query)).await?;
    Ok(Json(http::UsageReport {
        by: match parameters.by {
            By::Team => "team",
            By::Model => "model",
            By::Day => "day",
        }
        .to_owned(),
        since: since.map(|since| since.to_string()),
        team,
        rows: rows.into_iter().map(sum_body).collect(),
    }))
}

pub(crate) async fn rows(
    State(app): State<Arc<App>>,
    Extension(scope): Extension<Scope>,
    Query(parameters): Query<RowParameters>,
) -> Result<Json<Vec<http::RequestRow>>, ApiError> {
    let limit = parameters.limit.unwrap_or(DEFAULT_ROWS);
    if limit == 0 || limit > MAX_ROWS {
        return Err(bad_query(&format!("limit: {limit} is not from 1 to {MAX_ROWS}")).with_param("limit"));
    }
    let query = RequestQuery {
        since: since(parameters.since.as_deref(), Timestamp::now())?,
        limit,
        team: scope.team(),
    };
    let rows = read(&app, move |records| records.requests(&query)).await?;
    Ok(Json(rows.into_iter().map(row_body).collect()))
}

/// Runs `ask` where blocking is allowed: it reads the disk.
pub(crate) async fn read<T: Send + 'static>(
    app: &Arc<App>,
    ask: impl FnOnce(&dyn Records) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, ApiError> {
    let records = Arc::clone(&app.records);
    let asked = tokio::task::spawn_blocking(move || ask(&*records)).await;
    match asked {
        Ok(result) => Ok(result?),
        Err(_) => Err(ApiError::internal("reading the ledger hit a defect of mains")),
    }
}

fn sum_body(row: UsageRow) -> http::UsageRow {
    http::UsageRow {
        key: row.key,
        requests: row.totals.requests,
        prompt_tokens: row.totals.prompt_tokens,
        cached_tokens: row.totals.cached_tokens,
        completion_tokens: row.totals.completion_tokens,
    }
}

fn row_body(row: RequestRow) -> http::RequestRow {
    http::RequestRow {
        id: row.id,
        time: row.time.to_string(),
        team: row.team,
        uid: Some(row.uid),
        pid: row.pid,
        unit: row.unit,
        model: row.model,
        variant: row.variant,
        device: row.device,
        prompt_tokens: row.prompt_tokens.map(u64::from),
        cached_tokens: row.cached_tokens.map(u64::from),
        completion_tokens: Some(u64::from(row.completion_tokens)),
        queue_ms: row.queue_ms,
        first_token_ms: row.first_token_ms,
        total_ms: row.total_ms,
        finish_reason: row.finish_reason,
        error: row.error,
        settled: row.settled.map(|settled: Settlement| settled.name().to_owned()),
    }
}
