//! What goes in comes out; what was left open is settled.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

mod support;

use jiff::Timestamp;
use mains_ledger::{Ledger, LedgerConfig, LedgerError, Outcome, RequestQuery, UsageBy, UsageQuery};
use mains_types::{FinishReason, GenerationErrorKind, Settlement, UsageTotals};
use support::{MIDNIGHT_MS, block, crash_copy, database, integrity, open, row, rows};

const DAY_MS: i64 = 86_400_000;

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn ended(completion_tokens: u32) -> Outcome {
    Outcome {
        completion_tokens,
        finish_reason: Some(FinishReason::Stop),
        ..Outcome::default()
    }
}

#[test]
fn a_settled_row_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    block(async {
        let meter = ledger
            .begin(row("chatcmpl-1", MIDNIGHT_MS + 5, 500))
            .await
            .unwrap();
        let running = rows(&ledger);
        let first = running.first().unwrap();
        assert_eq!((first.settled, first.completion_tokens), (None, 64));
        let outcome = Outcome {
            completion_tokens: 9,
            prompt_tokens: None,
            cached_tokens: Some(4),
            variant: None,
            device: Some("gpu:0000:01:00.0".to_owned()),
            queue_ms: Some(1),
            first_token_ms: Some(20),
            total_ms: Some(300),
            finish_reason: Some(FinishReason::Length),
            error: None,
        };
        meter.settle(outcome).await.unwrap();
    });
    let all = rows(&ledger);
    let row = all.first().unwrap();
    assert_eq!((all.len(), row.id.as_str()), (1, "chatcmpl-1"));
    assert_eq!(row.time.to_string(), "2026-11-24T00:00:00.005Z");
    assert_eq!((row.team.as_str(), row.uid, row.pid), ("red", 1000, Some(42)));
    assert_eq!(row.unit.as_deref(), Some("app.service"));
    assert_eq!(
        (row.prompt_tokens, row.cached_tokens, row.completion_tokens),
        (Some(7), Some(4), 9)
    );
    assert_eq!(row.variant.as_ref().map(String::len), Some(64));
    assert_eq!(row.device.as_deref(), Some("gpu:0000:01:00.0"));
    assert_eq!(
        (row.queue_ms, row.first_token_ms, row.total_ms),
        (Some(1), Some(20), Some(300))
    );
    assert_eq!(
        (row.finish_reason.as_deref(), row.error.as_deref()),
        (Some("length"), None)
    );
    assert_eq!(row.settled, Some(Settlement::Exact));
}

#[test]
fn a_dropped_meter_settles_at_what_was_covered() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    block(async {
        let mut meter = ledger.begin(row("a", MIDNIGHT_MS, 500)).await.unwrap();
        meter.cover(30).await.unwrap();
        drop(meter);
        // A later call is committed after the drop's.
        let last = ledger.begin(row("b", MIDNIGHT_MS, 1)).await.unwrap();
        last.settle(ended(1)).await.unwrap();
    });
    let all = rows(&ledger);
    let row = all.first().unwrap();
    assert_eq!(
        (row.completion_tokens, row.settled),
        (30, Some(Settlement::Lease))
    );
    assert_eq!(row.error.as_deref(), Some(GenerationErrorKind::Internal.code()));
}

#[test]
fn a_begin_that_nobody_waits_for_leaves_no_open_row() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    block(async {
        {
            let mut begin = Box::pin(ledger.begin(row("gone", MIDNIGHT_MS, 500)));
            let first = futures_poll_once(begin.as_mut());
            assert!(first.is_none_or(|begun| begun.is_ok()));
        }
        let last = ledger.begin(row("b", MIDNIGHT_MS, 1)).await.unwrap();
        last.settle(ended(1)).await.unwrap();
    });
    let all = rows(&ledger);
    let gone = all.iter().find(|row| row.id == "gone").unwrap();
    assert_eq!(
        (gone.completion_tokens, gone.settled),
        (0, Some(Settlement::Lease))
    );
}

fn futures_poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn a_crash_settles_at_the_lease() {
    let (live, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = open(live.path());
    block(async {
        let mut long = ledger.begin(row("long", MIDNIGHT_MS, 500)).await.unwrap();
        let short = ledger.begin(row("short", MIDNIGHT_MS, 5)).await.unwrap();
        long.cover(64).await.unwrap();
        long.cover(65).await.unwrap();
        crash_copy(live.path(), dead.path());
        long.settle(ended(65)).await.unwrap();
        short.settle(ended(5)).await.unwrap();
    });
    let after = open(dead.path());
    assert_eq!(after.recovered(), 2);
    let found: Vec<_> = rows(&after)
        .into_iter()
        .map(|row| (row.id, row.completion_tokens, row.settled, row.error.unwrap()))
        .collect();
    let crashed = |id: &str, tokens: u32| {
        (
            id.to_owned(),
            tokens,
            Some(Settlement::Lease),
            "daemon_crash".to_owned(),
        )
    };
    assert_eq!(found, [crashed("long", 112), crashed("short", 5)]);
}

#[test]
fn an_id_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    block(async {
        let meter = ledger.begin(row("a", MIDNIGHT_MS, 500)).await.unwrap();
        let again = ledger.begin(row("a", MIDNIGHT_MS, 500)).await;
        assert_eq!(again.unwrap_err(), LedgerError::Duplicate { id: "a".to_owned() });
        meter.settle(ended(3)).await.unwrap();
    });
    let found = rows(&ledger);
    assert_eq!((found.len(), found.first().unwrap().completion_tokens), (1, 3));
}

#[test]
fn two_daemons_never_share_a_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let second = Ledger::open(&database(folder.path()), LedgerConfig::default());
    assert!(matches!(second, Err(LedgerError::Locked { .. })));
    drop(first);
    open(folder.path());
}

#[test]
fn requests_are_the_newest_last() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    block(async {
        for (id, at) in [("a", 30), ("b", 10), ("c", 20), ("d", 30)] {
            let mut open = row(id, MIDNIGHT_MS + at, 1);
            if id == "c" {
                "blue".clone_into(&mut open.caller.team);
            }
            ledger.begin(open).await.unwrap().settle(ended(1)).await.unwrap();
        }
    });
    let ids = |since: Option<i64>, limit: u32, team: Option<&str>| -> String {
        let query = RequestQuery {
            since: since.map(time),
            limit,
            team: team.map(str::to_owned),
        };
        ledger
            .requests(&query)
            .unwrap()
            .into_iter()
            .map(|row| row.id)
            .collect()
    };
    assert_eq!(ids(None, 9, None), "bcad");
    assert_eq!(ids(None, 2, None), "ad");
    assert_eq!(ids(Some(MIDNIGHT_MS + 20), 9, None), "cad");
    assert_eq!(ids(None, 9, Some("blue")), "c");
    assert_eq!(ids(None, 0, None), "");
}

#[test]
fn pruning_keeps_the_sums() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let usage = |by: UsageBy, since: Option<i64>, team: Option<&str>| -> Vec<(String, UsageTotals)> {
        let query = UsageQuery {
            by,
            since: since.map(time),
            team: team.map(str::to_owned),
        };
        let rows = ledger.usage(&query).unwrap();
        rows.into_iter().map(|row| (row.key, row.totals)).collect()
    };
    block(async {
        for (index, at) in [0, DAY_MS - 1, DAY_MS, 3 * DAY_MS, 3 * DAY_MS + 1]
            .into_iter()
            .enumerate()
        {
            let mut open = row(&format!("r{index}"), MIDNIGHT_MS + at, 100);
            if index % 2 == 1 {
                "blue".clone_into(&mut open.caller.team);
            }
            ledger.begin(open).await.unwrap().settle(ended(10)).await.unwrap();
        }
        let running = ledger.begin(row("running", MIDNIGHT_MS + 1, 100)).await.unwrap();
        let all = |team| [UsageBy::Team, UsageBy::Model, UsageBy::Day].map(|by| usage(by, None, team));
        let before = (
            all(None),
            all(Some("blue")),
            usage(UsageBy::Day, Some(MIDNIGHT_MS + DAY_MS), None),
        );
        let totals = before.0[0].first().unwrap();
        assert_eq!(totals.0, "blue");
        assert_eq!(
            totals.1,
            UsageTotals {
                requests: 2,
                prompt_tokens: 14,
                cached_tokens: 6,
                completion_tokens: 20
            }
        );
        let pruned = ledger.prune(time(MIDNIGHT_MS + 3 * DAY_MS + 1)).await.unwrap();
        assert_eq!(pruned, 3);
        let after = (
            all(None),
            all(Some("blue")),
            usage(UsageBy::Day, Some(MIDNIGHT_MS + DAY_MS), None),
        );
        assert_eq!(before, after);
        running.settle(ended(2)).await.unwrap();
        assert_eq!(ledger.prune(time(MIDNIGHT_MS + DAY_MS)).await.unwrap(), 1);
    });
    let day = usage(UsageBy::Day, None, None);
    let first = day.first().unwrap();
    assert_eq!(
        (first.0.as_str(), first.1.requests, first.1.completion_tokens),
        ("2026-11-24", 3, 22)
    );
    assert_eq!(rows(&ledger).len(), 2);
}

#[test]
fn the_file_is_private_and_sound() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    for name in ["usage.db", "usage.db-wal", "usage.db.reserve", "usage.db.lock"] {
        let mode = folder.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(
        folder.path().join("usage.db.reserve").metadata().unwrap().len(),
        8 << 20
    );
    drop(ledger);
    assert_eq!(integrity(&database(folder.path())), "ok");
}
