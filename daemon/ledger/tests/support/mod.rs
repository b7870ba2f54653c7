//! What the ledger's tests share.

#![allow(dead_code, reason = "each test takes what it needs")]
#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

pub(crate) mod vfs;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mains_ledger::{Ledger, LedgerConfig, OpenRow, RequestQuery, RequestRow};
use mains_types::{Caller, Peer};

/// 2026-11-24T00:00:00Z in milliseconds since 1970.
pub(crate) const MIDNIGHT_MS: i64 = 1_795_478_400_000;

/// An opening row for `id` that came at `time_ms`.
pub(crate) fn row(id: &str, time_ms: i64, most_tokens: u32) -> OpenRow {
    OpenRow {
        id: id.to_owned(),
        time: Timestamp::from_millisecond(time_ms).unwrap(),
        caller: Caller {
            peer: Peer {
                uid: 1000,
                gid: 1000,
                pid: Some(42),
                groups: vec![1000],
                unit: Some("app.service".to_owned()),
            },
            team: "red".to_owned(),
        },
        model: "pilot".to_owned(),
        variant: Some("ab".repeat(32)),
        device: Some("cpu".to_owned()),
        prompt_tokens: Some(7),
        cached_tokens: Some(3),
        most_tokens,
    }
}

/// Opens the ledger in `folder` with default choices.
pub(crate) fn open(folder: &Path) -> Ledger {
    Ledger::open(&database(folder), LedgerConfig::default()).unwrap()
}

/// Where the tests keep a ledger.
pub(crate) fn database(folder: &Path) -> PathBuf {
    folder.join("usage.db")
}

/// Every row.
pub(crate) fn rows(ledger: &Ledger) -> Vec<RequestRow> {
    let query = RequestQuery {
        since: None,
        limit: u32::MAX,
        team: None,
    };
    ledger.requests(&query).unwrap()
}

/// SQLite's own opinion of a database that nobody has open.
pub(crate) fn integrity(path: &Path) -> String {
    let db = rusqlite::Connection::open(path).unwrap();
    db.query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap()
}

/// Copies the files that a dead process would leave: what a crash of the daemon, not of the machine, keeps.
pub(crate) fn crash_copy(from: &Path, to: &Path) {
    for name in ["usage.db", "usage.db-wal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}
