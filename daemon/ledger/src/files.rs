//! The files of a ledger: the database, its lock, its reserve, and connections to it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::LedgerError;
use crate::disk::private;

/// How long a connection waits for another's lock. Only a checkpoint or a recovery ever holds one, for milliseconds;
/// longer than this is a foreign program.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Paths of one ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    /// The SQLite database.
    pub(crate) database: PathBuf,
    /// Locked by whoever writes.
    pub(crate) lock: PathBuf,
    /// Bytes held back for a full disk.
    pub(crate) reserve: PathBuf,
}

impl Files {
    /// The files of the ledger at `database`.
    pub(crate) fn of(database: &Path) -> Self {
        Self {
            database: database.to_owned(),
            lock: beside(database, ".lock"),
            reserve: beside(database, ".reserve"),
        }
    }

    /// The backup that precedes the migration to `version`.
    pub(crate) fn before_version(&self, version: i64) -> PathBuf {
        beside(&self.database, &format!(".before-v{version}"))
    }

    /// Takes the lock, which the file's end of life releases.
    ///
    /// # Errors
    /// [`LedgerError::Locked`] when another process has it.
    pub(crate) fn lock(&self) -> Result<File, LedgerError> {
        let file = private(&self.lock).map_err(io_error(&self.lock, "opening the lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(LedgerError::Locked {
                path: self.lock.clone(),
            }),
            Err(TryLockError::Error(error)) => Err(io_error(&self.lock, "locking")(error)),
        }
    }

    /// Makes the database's file private and its name durable, before SQLite makes it with the process's mask.
    ///
    /// # Errors
    /// [`LedgerError::Io`] when the folder is missing or not writable.
    pub(crate) fn create(&self) -> Result<(), LedgerError> {
        private(&self.database).map_err(io_error(&self.database, "opening"))?;
        sync_folder(&self.database)
    }

    /// A connection that writes.
    ///
    /// # Errors
    /// [`LedgerError::Sqlite`] when the file cannot be opened.
    pub(crate) fn writer(&self, vfs: Option<&str>) -> Result<Connection, LedgerError> {
        connect(&self.database, OpenFlags::SQLITE_OPEN_READ_WRITE, vfs)
    }

    /// A connection that only reads.
    ///
    /// # Errors
    /// [`LedgerError::Sqlite`] when the file cannot be opened.
    pub(crate) fn reader(&self, vfs: Option<&str>) -> Result<Connection, LedgerError> {
        connect(&self.database, OpenFlags::SQLITE_OPEN_READ_ONLY, vfs)
    }
}

/// Opens the SQLite file at `path`, which exists. SQL in it (a view, a trigger) is not trusted.
pub(crate) fn connect(path: &Path, access: OpenFlags, vfs: Option<&str>) -> Result<Connection, LedgerError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let opened = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    };
    opened
        .and_then(|connection| {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "trusted_schema", false)?;
            connection.pragma_update(None, "cell_size_check", true)?;
            Ok(connection)
        })
        .map_err(sqlite_error(path, "opening"))
}

/// `path` with `suffix` at its end.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), LedgerError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error(folder, "syncing the folder"))
}

/// An SQLite error with its place.
pub(crate) fn sqlite_error(
    path: &Path,
    doing: &'static str,
) -> impl Fn(rusqlite::Error) -> LedgerError + use<> {
    let path = path.to_owned();
    move |error| LedgerError::Sqlite {
        path: path.clone(),
        doing,
        reason: error.to_string(),
    }
}

/// A system's error with its place.
pub(crate) fn io_error(path: &Path, doing: &'static str) -> impl Fn(io::Error) -> LedgerError + use<> {
    let path = path.to_owned();
    move |error| LedgerError::Io {
        path: path.clone(),
        doing,
        reason: error.to_string(),
    }
}
