//! Opens a ledger: lock, check, migrate, settle what a crash left open.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;

use crate::disk::Room;
use crate::files::{Files, sqlite_error};
use crate::health::Pulse;
use crate::writer::Writer;
use crate::{LedgerConfig, LedgerError, schema, statements};

/// A writer that is ready to run, and what was found.
pub(crate) struct Opened {
    /// The thread's things.
    pub(crate) writer: Writer,
    /// The first free key.
    pub(crate) next_row: i64,
    /// Rows that a crash had left open.
    pub(crate) recovered: u64,
}

/// Opens the ledger at `path`. A file that is no ledger is not touched.
///
/// # Errors
/// See [`crate::Ledger::open`].
pub(crate) fn open(path: &Path, config: LedgerConfig) -> Result<Opened, LedgerError> {
    let files = Files::of(path);
    let lock = files.lock()?;
    files.create()?;
    let mut db = files.writer(config.vfs.as_deref())?;
    let version = schema::version(&db, path, schema::known())?;
    let mut room = Room::new(
        config.disk,
        files.reserve.clone(),
        config.reserve_bytes,
        config.resume_bytes,
    );
    let (next_row, recovered) = match prepare(&mut db, &files, version) {
        // Settling may need the room that is held back for it; another failure comes again.
        Err(_) if room.release() => prepare(&mut db, &files, version)?,
        prepared => prepared?,
    };
    let pulse = Arc::new(Pulse::new(Instant::now()));
    pulse.end(!room.held(), 0);
    Ok(Opened {
        writer: Writer {
            db,
            files,
            room,
            pulse,
            backlog: Vec::new(),
            _lock: lock,
        },
        next_row,
        recovered,
    })
}

fn prepare(db: &mut Connection, files: &Files, version: i64) -> Result<(i64, u64), LedgerError> {
    durable(db).map_err(sqlite_error(&files.database, "setting durability"))?;
    schema::migrate(db, files, version, schema::MIGRATIONS)?;
    let failed = sqlite_error(&files.database, "settling what a crash left open");
    let recovered = statements::recover(db).map_err(&failed)?;
    Ok((statements::next_row(db).map_err(&failed)?, recovered))
}

/// A commit is on the disk when it returns: `synchronous=FULL` syncs the write-ahead log with each
/// (<https://www.sqlite.org/pragma.html#pragma_synchronous>).
fn durable(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "temp_store", "MEMORY")
}
