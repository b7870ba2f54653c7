//! Answers queries on a connection that only reads.

use jiff::Timestamp;
use mains_types::{Settlement, UsageTotals};
use rusqlite::{Connection, Row, types::Type};

use crate::statements::DAY_MS;
use crate::{RequestQuery, RequestRow, UsageBy, UsageQuery, UsageRow};

/// Sums of rows and of pruned days.
pub(crate) fn usage(db: &Connection, query: &UsageQuery) -> rusqlite::Result<Vec<UsageRow>> {
    let since = query.since.map_or(i64::MIN, |since| since.as_millisecond());
    let day = query.since.map(|since| {
        let start = since.as_millisecond();
        start - start.rem_euclid(DAY_MS)
    });
    let (of_row, of_day) = match query.by {
        UsageBy::Team => ("team", "team"),
        UsageBy::Model => ("model", "model"),
        UsageBy::Day => ("strftime('%Y-%m-%d', time_ms / 1000.0, 'unixepoch')", "day"),
    };
    let sql = format!(
        "SELECT key, sum(requests), sum(prompt), sum(cached), sum(completion) FROM (
            SELECT {of_row} AS key, 1 AS requests, coalesce(prompt_tokens, 0) AS prompt,
                coalesce(cached_tokens, 0) AS cached, coalesce(completion_tokens, 0) AS completion
            FROM requests WHERE time_ms >= ?1 AND (?3 IS NULL OR team = ?3)
            UNION ALL
            SELECT {of_day}, requests, prompt_tokens, cached_tokens, completion_tokens
            FROM day_totals
            WHERE (?2 IS NULL OR day >= strftime('%Y-%m-%d', ?2 / 1000.0, 'unixepoch')) AND (?3 IS NULL OR team = ?3)
        ) GROUP BY key ORDER BY key"
    );
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map((since, day, &query.team), |row| {
        Ok(UsageRow {
            key: row.get(0)?,
            totals: UsageTotals {
                requests: count(row, 1)?.unwrap_or(0),
                prompt_tokens: count(row, 2)?.unwrap_or(0),
                cached_tokens: count(row, 3)?.unwrap_or(0),
                completion_tokens: count(row, 4)?.unwrap_or(0),
            },
        })
    })?;
    rows.collect()
}

/// The newest rows, the newest last.
pub(crate) fn requests(db: &Connection, query: &RequestQuery) -> rusqlite::Result<Vec<RequestRow>> {
    let since = query.since.map_or(i64::MIN, |since| since.as_millisecond());
    let mut statement = db.prepare(
        "SELECT id, time_ms, team, uid, pid, unit, model, variant, device, prompt_tokens, cached_tokens,
            coalesce(completion_tokens, leased_tokens), queue_ms, first_token_ms, total_ms, finish_reason, error, settled
        FROM requests WHERE time_ms >= ?1 AND (?2 IS NULL OR team = ?2)
        ORDER BY time_ms DESC, row DESC LIMIT ?3",
    )?;
    let rows = statement.query_map((since, &query.team, query.limit), request)?;
    let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.reverse();
    Ok(rows)
}

fn request(row: &Row<'_>) -> rusqlite::Result<RequestRow> {
    let settled: Option<String> = row.get(17)?;
    Ok(RequestRow {
        id: row.get(0)?,
        time: time(row, 1)?,
        team: row.get(2)?,
        uid: row.get(3)?,
        pid: row.get(4)?,
        unit: row.get(5)?,
        model: row.get(6)?,
        variant: row.get(7)?,
        device: row.get(8)?,
        prompt_tokens: row.get(9)?,
        cached_tokens: row.get(10)?,
        completion_tokens: row.get(11)?,
        queue_ms: count(row, 12)?,
        first_token_ms: count(row, 13)?,
        total_ms: count(row, 14)?,
        finish_reason: row.get(15)?,
        error: row.get(16)?,
        settled: settled.map(|name| {
            if name == Settlement::Exact.name() {
                Settlement::Exact
            } else {
                Settlement::Lease
            }
        }),
    })
}

fn count(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<u64>> {
    row.get::<_, Option<i64>>(index)?
        .map(|value| u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, value)))
        .transpose()
}

fn time(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(row.get(index)?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Integer, Box::new(error)))
}
