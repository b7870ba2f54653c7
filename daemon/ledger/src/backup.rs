//! Copies of a ledger: made while it is written, checked before they count, put back when no daemon runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use crate::disk::private;
use crate::files::{Files, beside, connect, io_error, sqlite_error, sync_folder};
use crate::{LedgerError, schema};

/// Pages of one step: all, so that the copy is one snapshot. Readers of a write-ahead log delay no writer.
const ALL_PAGES: i32 = -1;

/// Copies `source` to `to`, which must not exist: complete, checked, durable, or not at all.
///
/// # Errors
/// [`LedgerError`] when `to` exists or cannot be written, or the copy is not sound.
pub(crate) fn copy(source: &Connection, to: &Path) -> Result<(), LedgerError> {
    if to.symlink_metadata().is_ok() {
        let exists = io::Error::new(io::ErrorKind::AlreadyExists, "the file exists; name another");
        return Err(io_error(to, "writing the backup")(exists));
    }
    let partial = beside(to, ".partial");
    let copied = copy_to(source, &partial).and_then(|()| {
        fs::rename(&partial, to).map_err(io_error(to, "naming the backup"))?;
        sync_folder(to)
    });
    if copied.is_err() {
        // What is left of it would only take room.
        let _ = fs::remove_file(&partial);
    }
    copied
}

fn copy_to(source: &Connection, partial: &Path) -> Result<(), LedgerError> {
    let file = private(partial).map_err(io_error(partial, "writing the backup"))?;
    // A part of an earlier try that was cut off.
    file.set_len(0).map_err(io_error(partial, "writing the backup"))?;
    let mut target = connect(partial, OpenFlags::SQLITE_OPEN_READ_WRITE, None)?;
    let failed = sqlite_error(partial, "copying");
    Backup::new(source, &mut target)
        .and_then(|backup| backup.step(ALL_PAGES))
        .map_err(&failed)?;
    // One plain file, that can be carried away alone.
    target
        .pragma_update(None, "journal_mode", "DELETE")
        .map_err(&failed)?;
    check(&target, partial)?;
    target.close().map_err(|(_, error)| failed(error))?;
    file.sync_all().map_err(io_error(partial, "syncing the backup"))
}

/// Runs SQLite's own check of a whole database.
///
/// # Errors
/// [`LedgerError::Damaged`] with what it found.
pub(crate) fn check(database: &Connection, path: &Path) -> Result<(), LedgerError> {
    let report: String = database
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(sqlite_error(path, "checking"))?;
    if report == "ok" {
        return Ok(());
    }
    Err(LedgerError::Damaged {
        path: path.to_owned(),
        report,
    })
}

/// Puts `backup` in the place of the ledger at `path`; returns where the old one is kept, if there was one.
///
/// # Errors
/// [`LedgerError::Locked`] while a daemon has the ledger; others when the backup is no sound ledger that this version
/// knows. The ledger at `path` is then as it was.
pub(crate) fn restore(backup: &Path, path: &Path, now: Timestamp) -> Result<Option<PathBuf>, LedgerError> {
    let files = Files::of(path);
    let _lock = files.lock()?;
    let source = connect(backup, OpenFlags::SQLITE_OPEN_READ_ONLY, None)?;
    if schema::version(&source, backup, schema::known())? == 0 {
        return Err(LedgerError::NotALedger {
            path: backup.to_owned(),
            reason: "it is empty".to_owned(),
        });
    }
    check(&source, backup)?;
    let arriving = beside(path, ".restoring");
    if arriving.exists() {
        fs::remove_file(&arriving).map_err(io_error(&arriving, "removing an interrupted restore"))?;
    }
    copy(&source, &arriving)?;
    let kept = keep_old(&files, now)?;
    fs::rename(&arriving, path).map_err(io_error(path, "putting the backup in place"))?;
    sync_folder(path)?;
    Ok(kept)
}

/// Keeps the old ledger under another name. It also stays in its place, for the new one to be renamed over, so that a
/// cut never leaves none. Its write-ahead log is emptied into it, or moved away where it is damaged: a log beside a
/// foreign database would be replayed into it.
fn keep_old(files: &Files, now: Timestamp) -> Result<Option<PathBuf>, LedgerError> {
    let old = &files.database;
    if !old.exists() {
        return Ok(None);
    }
    let emptied = files
        .writer(None)
        .map(|db| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    if !matches!(emptied, Ok(Ok(()))) {
        tracing::warn!(path = %old.display(), "the old ledger is damaged; it is kept as it is");
    }
    let kept = beside(old, &format!(".before-restore-{}", now.as_millisecond()));
    let failed = io_error(&kept, "keeping the old ledger");
    for suffix in ["-wal", "-shm"] {
        let from = beside(old, suffix);
        if from.exists() {
            fs::rename(&from, beside(&kept, suffix)).map_err(&failed)?;
        }
    }
    // A file system without hard links leaves a moment without a ledger.
    fs::hard_link(old, &kept)
        .or_else(|_| fs::rename(old, &kept))
        .map_err(&failed)?;
    sync_folder(old)?;
    Ok(Some(kept))
}
