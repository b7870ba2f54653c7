//! The statements that write rows. Each runs inside a transaction of the writer.

use mains_types::Settlement;
use rusqlite::{Connection, OptionalExtension, named_params};

use crate::{OpenRow, Outcome};

/// The error of rows that a crash had left open.
const DAEMON_CRASH: &str = "daemon_crash";

/// Milliseconds of a UTC day.
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Inserts an open row with its first lease. False when the id is there already.
pub(crate) fn insert(db: &Connection, row: i64, open: &OpenRow, leased: u32) -> rusqlite::Result<bool> {
    let peer = &open.caller.peer;
    let changed = db
        .prepare_cached(
            "INSERT INTO requests (row, id, time_ms, team, uid, pid, unit, model, variant, device, prompt_tokens,
                cached_tokens, leased_tokens)
            VALUES (:row, :id, :time_ms, :team, :uid, :pid, :unit, :model, :variant, :device, :prompt_tokens,
                :cached_tokens, :leased_tokens)
            ON CONFLICT DO NOTHING",
        )?
        .execute(named_params! {
            ":row": row,
            ":id": open.id,
            ":time_ms": open.time.as_millisecond(),
            ":team": open.caller.team,
            ":uid": peer.uid,
            ":pid": peer.pid,
            ":unit": peer.unit,
            ":model": open.model,
            ":variant": open.variant,
            ":device": open.device,
            ":prompt_tokens": open.prompt_tokens,
            ":cached_tokens": open.cached_tokens,
            ":leased_tokens": leased,
        })?;
    Ok(changed == 1)
}

/// Raises the lease of an open row. False when it is not open.
pub(crate) fn extend(db: &Connection, row: i64, leased: u32) -> rusqlite::Result<bool> {
    let changed = db
        .prepare_cached(
            "UPDATE requests SET leased_tokens = max(leased_tokens, ?2) WHERE row = ?1 AND settled IS NULL",
        )?
        .execute((row, leased))?;
    Ok(changed == 1)
}

/// How a row is to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The row.
    pub(crate) row: i64,
    /// Its end.
    pub(crate) outcome: Outcome,
    /// How its completion tokens are known.
    pub(crate) settlement: Settlement,
}

/// Closes an open row; one that is closed stays as it is, so that a repeated settlement counts once.
pub(crate) fn settle(db: &Connection, settled: &Settled) -> rusqlite::Result<()> {
    let outcome = &settled.outcome;
    db.prepare_cached(
        "UPDATE requests SET
            completion_tokens = :completion_tokens,
            leased_tokens = max(leased_tokens, :completion_tokens),
            prompt_tokens = coalesce(:prompt_tokens, prompt_tokens),
            cached_tokens = coalesce(:cached_tokens, cached_tokens),
            variant = coalesce(:variant, variant),
            device = coalesce(:device, device),
            queue_ms = :queue_ms,
            first_token_ms = :first_token_ms,
            total_ms = :total_ms,
            finish_reason = :finish_reason,
            error = :error,
            settled = :settled
        WHERE row = :row AND settled IS NULL",
    )?
    .execute(named_params! {
        ":row": settled.row,
        ":completion_tokens": outcome.completion_tokens,
        ":prompt_tokens": outcome.prompt_tokens,
        ":cached_tokens": outcome.cached_tokens,
        ":variant": outcome.variant,
        ":device": outcome.device,
        ":queue_ms": outcome.queue_ms.map(signed),
        ":first_token_ms": outcome.first_token_ms.map(signed),
        ":total_ms": outcome.total_ms.map(signed),
        ":finish_reason": outcome.finish_reason.map(mains_types::FinishReason::name),
        ":error": outcome.error.map(mains_types::GenerationErrorKind::code),
        ":settled": settled.settlement.name(),
    })?;
    Ok(())
}

/// SQLite's integers are signed; no duration comes near their end.
fn signed(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}

/// Settles what a crash left open at its lease and returns how many rows that were.
pub(crate) fn recover(db: &Connection) -> rusqlite::Result<u64> {
    let rows = db.execute(
        "UPDATE requests SET completion_tokens = leased_tokens, error = ?1, settled = ?2 WHERE settled IS NULL",
        (DAEMON_CRASH, Settlement::Lease.name()),
    )?;
    Ok(rows as u64)
}

/// The row after the last.
pub(crate) fn next_row(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT coalesce(max(row), 0) + 1 FROM requests", [], |row| {
        row.get(0)
    })
}

/// Moves the closed rows of the oldest day before `before_ms` into that day's totals. Returns how many; `None` when no
/// such day is left.
pub(crate) fn prune_day(db: &Connection, before_ms: i64) -> rusqlite::Result<Option<u64>> {
    let oldest: Option<i64> = db
        .query_row(
            "SELECT min(time_ms) FROM requests WHERE time_ms < ?1 AND settled IS NOT NULL",
            [before_ms],
            |row| row.get(0),
        )
        .optional()?
        .flatten();
    let Some(oldest) = oldest else { return Ok(None) };
    let start = oldest - oldest.rem_euclid(DAY_MS);
    let bounds = (start, start.saturating_add(DAY_MS).min(before_ms));
    db.execute(
        "INSERT INTO day_totals (day, team, model, requests, prompt_tokens, cached_tokens, completion_tokens)
        SELECT strftime('%Y-%m-%d', time_ms / 1000.0, 'unixepoch') AS day, team, model, count(*),
            coalesce(sum(prompt_tokens), 0), coalesce(sum(cached_tokens), 0), sum(completion_tokens)
        FROM requests WHERE time_ms >= ?1 AND time_ms < ?2 AND settled IS NOT NULL
        GROUP BY day, team, model
        ON CONFLICT DO UPDATE SET
            requests = requests + excluded.requests,
            prompt_tokens = prompt_tokens + excluded.prompt_tokens,
            cached_tokens = cached_tokens + excluded.cached_tokens,
            completion_tokens = completion_tokens + excluded.completion_tokens",
        bounds,
    )?;
    let rows = db.execute(
        "DELETE FROM requests WHERE time_ms >= ?1 AND time_ms < ?2 AND settled IS NOT NULL",
        bounds,
    )?;
    Ok(Some(rows as u64))
}
