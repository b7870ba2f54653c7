//! Backups, restores, and files that are not for this program.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

mod support;

use std::fs;
use std::path::Path;

use mains_ledger::{Ledger, LedgerConfig, LedgerError, Outcome};
use rusqlite::Connection;
use support::{MIDNIGHT_MS, block, database, integrity, open, row, rows};

async fn request(ledger: &Ledger, id: &str) {
    let meter = ledger.begin(row(id, MIDNIGHT_MS, 10)).await.unwrap();
    meter
        .settle(Outcome {
            completion_tokens: 10,
            ..Outcome::default()
        })
        .await
        .unwrap();
}

fn ids(ledger: &Ledger) -> Vec<String> {
    rows(ledger).into_iter().map(|row| row.id).collect()
}

fn refusal(folder: &Path) -> LedgerError {
    Ledger::open(&database(folder), LedgerConfig::default())
        .map(drop)
        .unwrap_err()
}

#[test]
fn a_backup_is_restored_and_the_old_ledger_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (database(folder.path()), folder.path().join("backup.db"));
    let ledger = open(folder.path());
    block(async {
        request(&ledger, "before").await;
        let running = ledger.begin(row("running", MIDNIGHT_MS, 10)).await.unwrap();
        ledger.backup(&backup).unwrap();
        running.settle(Outcome::default()).await.unwrap();
        request(&ledger, "after").await;
    });
    assert!(
        ledger.backup(&backup).is_err(),
        "a file that exists is not written over"
    );
    let held = Ledger::restore(&backup, &path).unwrap_err();
    assert!(matches!(held, LedgerError::Locked { .. }), "{held}");
    drop(ledger);
    assert_eq!(integrity(&backup), "ok");

    let kept = Ledger::restore(&backup, &path).unwrap().unwrap();
    let restored = open(folder.path());
    assert_eq!(ids(&restored), ["before", "running"]);
    assert_eq!(restored.recovered(), 1);
    drop(restored);
    let old = Ledger::open(&kept, LedgerConfig::default()).unwrap();
    assert_eq!(ids(&old), ["before", "running", "after"]);
}

#[test]
fn a_backup_goes_to_a_place_without_a_ledger() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backup = folder.path().join("backup.db");
    let ledger = open(folder.path());
    block(request(&ledger, "a"));
    ledger.backup(&backup).unwrap();
    assert_eq!(Ledger::restore(&backup, &database(other.path())).unwrap(), None);
    assert_eq!(ids(&open(other.path())), ["a"]);
}

#[test]
fn a_damaged_backup_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (database(folder.path()), folder.path().join("backup.db"));
    let ledger = open(folder.path());
    block(request(&ledger, "a"));
    ledger.backup(&backup).unwrap();
    drop(ledger);
    let mut bytes = fs::read(&backup).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(&backup, bytes).unwrap();
    assert!(Ledger::restore(&backup, &path).is_err());
    fs::write(&backup, "text").unwrap();
    let text = Ledger::restore(&backup, &path).unwrap_err();
    assert!(matches!(text, LedgerError::NotALedger { .. }), "{text}");
    assert!(Ledger::restore(&folder.path().join("missing"), &path).is_err());
    fs::write(&backup, "").unwrap();
    let empty = Ledger::restore(&backup, &path).unwrap_err();
    assert!(matches!(empty, LedgerError::NotALedger { .. }), "{empty}");
    assert_eq!(ids(&open(folder.path())), ["a"]);
}

#[test]
fn foreign_files_are_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let text =
        "this is no database, whatever its name says, and it is long enough to look like one".repeat(20);
    fs::write(&path, &text).unwrap();
    let refused = refusal(folder.path());
    assert!(matches!(refused, LedgerError::NotALedger { .. }), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    let refused = refusal(folder.path());
    assert!(refused.to_string().contains("application id 0x0"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_missing_folder_is_named() {
    let refused = Ledger::open(Path::new("/nonexistent/usage.db"), LedgerConfig::default())
        .map(drop)
        .unwrap_err();
    assert!(
        refused.to_string().contains("/nonexistent/usage.db.lock"),
        "{refused}"
    );
}

#[test]
fn a_later_ledger_is_written_when_it_says_that_it_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    block(request(&ledger, "a"));
    drop(ledger);
    let later = Connection::open(database(folder.path())).unwrap();
    later
        .execute_batch(
            "ALTER TABLE requests ADD COLUMN images INTEGER; CREATE TABLE teams (name TEXT); PRAGMA user_version = 99;",
        )
        .unwrap();
    drop(later);
    let ledger = open(folder.path());
    block(request(&ledger, "b"));
    assert_eq!(ids(&ledger), ["a", "b"]);
    drop(ledger);
    let later = Connection::open(database(folder.path())).unwrap();
    let version: i64 = later
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99, "an older program leaves the version alone");
    later
        .execute_batch("UPDATE meta SET value = 99 WHERE key = 'min_reader'")
        .unwrap();
    drop(later);
    let refused = refusal(folder.path());
    assert!(
        matches!(
            refused,
            LedgerError::TooNew {
                needed: 99,
                known: 1,
                ..
            }
        ),
        "{refused}"
    );
}
