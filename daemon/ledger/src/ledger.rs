//! The handle of a ledger.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::files::{Files, io_error, sqlite_error};
use crate::health::Pulse;
use crate::statements::DAY_MS;
use crate::writer::{Call, Queued};
use crate::{
    Health, LedgerConfig, LedgerError, Meter, OpenRow, RequestQuery, RequestRow, UsageQuery, UsageRow,
    backup, open, reader,
};

/// A ledger that this process alone writes. Cheap to clone. The last clone or meter that is dropped waits for the last
/// commit and releases the ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    handle: Arc<Handle>,
}

/// What clones and meters share.
#[derive(Debug)]
pub(crate) struct Handle {
    calls: Option<mpsc::Sender<Queued>>,
    thread: Option<JoinHandle<()>>,
    pulse: Arc<Pulse>,
    files: Files,
    vfs: Option<String>,
    next_row: AtomicI64,
    recovered: u64,
}

impl Handle {
    /// Queues a call. The queue has no bound of its own: each running request has at most one call in it, or two when
    /// it is dropped in the middle of one.
    ///
    /// # Errors
    /// [`LedgerError::Stopped`] when the thread has ended.
    pub(crate) fn send(&self, call: Call) -> Result<(), LedgerError> {
        let queued = Queued {
            since: Instant::now(),
            call,
        };
        let calls = self.calls.as_ref().ok_or(LedgerError::Stopped)?;
        calls.send(queued).map_err(|_| LedgerError::Stopped)
    }

    /// A key that no row has.
    pub(crate) fn next_row(&self) -> i64 {
        self.next_row.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.calls = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(
                "the ledger's thread panicked; open rows are billed at their lease when it is opened again"
            );
        }
    }
}

impl Ledger {
    /// Opens the ledger at `path` or makes one. Rows that a crash left open are settled at their lease.
    ///
    /// # Errors
    /// [`LedgerError`] when another process has it, it is no ledger, a later version's, damaged, or cannot be written.
    pub fn open(path: &Path, config: LedgerConfig) -> Result<Self, LedgerError> {
        let vfs = config.vfs.clone();
        let opened = open::open(path, config)?;
        let (calls, queue) = mpsc::channel();
        let pulse = Arc::clone(&opened.writer.pulse);
        let writer = opened.writer;
        let thread = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(io_error(path, "starting the ledger's thread"))?;
        let handle = Handle {
            calls: Some(calls),
            thread: Some(thread),
            pulse,
            files: Files::of(path),
            vfs,
            next_row: AtomicI64::new(opened.next_row),
            recovered: opened.recovered,
        };
        Ok(Self {
            handle: Arc::new(handle),
        })
    }

    /// How many rows a crash had left open when this ledger was opened.
    #[must_use]
    pub fn recovered(&self) -> u64 {
        self.handle.recovered
    }

    /// Commits a request's row with a first lease; durable when it returns. When the future is dropped, the row is
    /// settled with no tokens.
    ///
    /// # Errors
    /// [`LedgerError::DiskFull`] while there is no room, [`LedgerError::Duplicate`] for an id that was used.
    pub async fn begin(&self, row: OpenRow) -> Result<Meter, LedgerError> {
        Meter::begin(Arc::clone(&self.handle), row).await
    }

    /// Sums of usage in order of their key. A running request counts its prompt; its completion counts when it has
    /// ended, so that sums never shrink. Reads the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`LedgerError::Sqlite`] when it cannot be read.
    pub fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, LedgerError> {
        self.read(|db| reader::usage(db, query))
    }

    /// Single requests, the newest last. Reads the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`LedgerError::Sqlite`] when it cannot be read.
    pub fn requests(&self, query: &RequestQuery) -> Result<Vec<RequestRow>, LedgerError> {
        self.read(|db| reader::requests(db, query))
    }

    fn read<T>(
        &self,
        query: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let files = &self.handle.files;
        let db = files.reader(self.handle.vfs.as_deref())?;
        query(&db).map_err(sqlite_error(&files.database, "reading"))
    }

    /// Copies the ledger to `to`, which must not exist, while it is written; `to` appears complete and checked, or not
    /// at all. Reads and writes the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`LedgerError`] when `to` exists or cannot be written, or the copy is not sound.
    pub fn backup(&self, to: &Path) -> Result<(), LedgerError> {
        let db = self.handle.files.reader(self.handle.vfs.as_deref())?;
        backup::copy(&db, to)
    }

    /// Puts `backup` in the place of the ledger at `path` and returns where the ledger that was there is kept.
    ///
    /// # Errors
    /// [`LedgerError::Locked`] while a daemon has it; others when the backup is no sound ledger that this version
    /// knows, or cannot be copied. The ledger is then as it was.
    pub fn restore(backup: &Path, path: &Path) -> Result<Option<PathBuf>, LedgerError> {
        backup::restore(backup, path, Timestamp::now())
    }

    /// Removes the settled rows of whole UTC days before `older_than` and keeps their sums by day, team and model.
    /// Returns how many rows went. One transaction a day, so that requests go on between them.
    ///
    /// # Errors
    /// [`LedgerError`] when it could not be committed.
    pub async fn prune(&self, older_than: Timestamp) -> Result<u64, LedgerError> {
        let cut = older_than.as_millisecond();
        let before_ms = cut - cut.rem_euclid(DAY_MS);
        let mut total = 0;
        loop {
            let (reply, answer) = oneshot::channel();
            self.handle.send(Call::PruneDay { before_ms, reply })?;
            match answer.await.unwrap_or(Err(LedgerError::Stopped))? {
                Some(rows) => total += rows,
                None => return Ok(total),
            }
        }
    }

    /// State of the writer thread; never waits for it.
    #[must_use]
    pub fn health(&self) -> Health {
        self.handle.pulse.health(Instant::now())
    }
}
