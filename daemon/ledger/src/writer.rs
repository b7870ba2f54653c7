//! The one thread that writes. It takes what waits, commits it together with one fsync, and then answers.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::oneshot;

use crate::disk::Room;
use crate::files::{Files, sqlite_error};
use crate::health::Pulse;
use crate::statements::{self, Settled};
use crate::{LedgerError, OpenRow};

/// The thread begins a round at least this often, so that a watchdog of a few seconds sees it live.
pub const ROUND: Duration = Duration::from_secs(1);

/// Calls of one transaction at the most. Beyond it, the sync is no longer what a call costs.
const BATCH: usize = 1024;

type Reply<T> = oneshot::Sender<Result<T, LedgerError>>;

/// A call that waits for its commit, and where its answer goes. A caller that is gone does not undo its call.
#[derive(Debug)]
pub(crate) enum Call {
    /// Insert an open row.
    Begin {
        /// Its key.
        row: i64,
        /// What is known of it.
        open: Box<OpenRow>,
        /// Its first lease.
        leased: u32,
        /// The answer.
        reply: Reply<()>,
    },
    /// Raise a lease.
    Extend {
        /// The row.
        row: i64,
        /// The lease in all.
        leased: u32,
        /// The answer.
        reply: Reply<()>,
    },
    /// Close a row.
    Settle {
        /// How.
        settled: Box<Settled>,
        /// The answer; absent when a meter was dropped.
        reply: Option<Reply<()>>,
    },
    /// Prune one day.
    PruneDay {
        /// Only rows before this, a UTC midnight in milliseconds.
        before_ms: i64,
        /// How many rows went.
        reply: Reply<Option<u64>>,
    },
}

/// A call with the moment when it was made.
#[derive(Debug)]
pub(crate) struct Queued {
    /// When.
    pub(crate) since: Instant,
    /// What.
    pub(crate) call: Call,
}

/// What one call came to inside a transaction that was committed.
enum Applied {
    Done,
    Pruned(Option<u64>),
    Refused(LedgerError),
}

/// The thread's own things.
pub(crate) struct Writer {
    pub(crate) db: Connection,
    pub(crate) files: Files,
    pub(crate) room: Room,
    pub(crate) pulse: Arc<Pulse>,
    /// Settlements that could not be committed; as many as there were running requests, for new ones are refused.
    pub(crate) backlog: Vec<Settled>,
    /// Held until the last write.
    pub(crate) _lock: File,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.pulse.stop();
    }
}

impl Writer {
    /// Serves `calls` until nobody can make one any more.
    pub(crate) fn run(mut self, calls: &Receiver<Queued>) {
        loop {
            let mut batch = Vec::new();
            match calls.recv_timeout(ROUND) {
                Ok(first) => {
                    batch.push(first);
                    batch.extend(calls.try_iter().take(BATCH - 1));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.pulse
                .begin(Instant::now(), batch.first().map(|first| first.since));
            let answers = self.round(batch.into_iter().map(|queued| queued.call).collect());
            self.pulse.end(!self.room.held(), self.backlog.len());
            for (call, applied) in answers {
                call.answer(applied);
            }
        }
        self.round(Vec::new());
        if !self.backlog.is_empty() {
            let rows = self.backlog.len();
            tracing::error!(
                rows,
                "the ledger ends with settlements that have no room; they are billed at their lease"
            );
        }
    }

    /// Commits what can be committed and says what came of each call.
    fn round(&mut self, batch: Vec<Call>) -> Vec<(Call, Applied)> {
        let path = self.files.database.display().to_string();
        if !self.room.held() && self.room.resume() {
            tracing::info!(path, "the ledger has room again; requests are accepted");
        }
        let mut answers = Vec::new();
        let mut batch = self.refuse_begins(batch, &mut answers);
        if batch.is_empty() && self.backlog.is_empty() {
            return answers;
        }
        let mut outcome = self.commit(&batch);
        if let Err(error) = &outcome
            && no_room(error)
        {
            if self.room.held() {
                tracing::error!(path, %error, "the ledger can not be written; new requests are refused");
            }
            let released = self.room.release();
            batch = self.refuse_begins(batch, &mut answers);
            if released {
                outcome = self.commit(&batch);
            }
        }
        match outcome {
            Ok(applied) => {
                self.backlog.clear();
                answers.extend(batch.into_iter().zip(applied));
            }
            Err(error) => self.fail(batch, error, &mut answers),
        }
        answers
    }

    /// Applies the backlog and `batch` in one transaction: all of it is durable, or none.
    fn commit(&mut self, batch: &[Call]) -> rusqlite::Result<Vec<Applied>> {
        let transaction = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for settled in &self.backlog {
            statements::settle(&transaction, settled)?;
        }
        let applied = batch
            .iter()
            .map(|call| call.apply(&transaction, &self.files))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        transaction.commit()?;
        Ok(applied)
    }

    /// Takes the calls out that a full disk has no room for.
    fn refuse_begins(&self, batch: Vec<Call>, answers: &mut Vec<(Call, Applied)>) -> Vec<Call> {
        if self.room.held() {
            return batch;
        }
        let (begins, others): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|call| matches!(call, Call::Begin { .. }));
        answers.extend(begins.into_iter().map(|call| {
            let error = LedgerError::DiskFull {
                path: self.files.database.clone(),
                needed: self.room.needed(),
            };
            (call, Applied::Refused(error))
        }));
        others
    }

    fn fail(&mut self, batch: Vec<Call>, error: rusqlite::Error, answers: &mut Vec<(Call, Applied)>) {
        let refused = sqlite_error(&self.files.database, "recording")(error);
        let before = self.backlog.len();
        for call in batch {
            if let Call::Settle { settled, .. } = &call {
                self.backlog.push(settled.as_ref().clone());
            }
            answers.push((call, Applied::Refused(refused.clone())));
        }
        if self.backlog.len() > before {
            let waiting = self.backlog.len();
            tracing::error!(waiting, error = %refused, "settlements wait until the ledger can be written");
        }
    }
}

/// Whether a write failed for want of room. An I/O error counts: a quota and a failed sync say that of a full disk.
fn no_room(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure)
    )
}

impl Call {
    fn apply(&self, db: &Connection, files: &Files) -> rusqlite::Result<Applied> {
        Ok(match self {
            Self::Begin {
                row, open, leased, ..
            } => {
                if statements::insert(db, *row, open, *leased)? {
                    Applied::Done
                } else {
                    Applied::Refused(LedgerError::Duplicate { id: open.id.clone() })
                }
            }
            Self::Extend { row, leased, .. } => {
                if statements::extend(db, *row, *leased)? {
                    Applied::Done
                } else {
                    Applied::Refused(LedgerError::Sqlite {
                        path: files.database.clone(),
                        doing: "extending a lease",
                        reason: format!("row {row} is not open: another program writes this file"),
                    })
                }
            }
            Self::Settle { settled, .. } => {
                statements::settle(db, settled)?;
                Applied::Done
            }
            Self::PruneDay { before_ms, .. } => Applied::Pruned(statements::prune_day(db, *before_ms)?),
        })
    }

    /// Sends the answer. Whoever went away meanwhile does not get it.
    fn answer(self, applied: Applied) {
        let done = match applied {
            Applied::Refused(error) => Err(error),
            Applied::Done => Ok(None),
            Applied::Pruned(rows) => Ok(rows),
        };
        match self {
            Self::Begin { reply, .. }
            | Self::Extend { reply, .. }
            | Self::Settle {
                reply: Some(reply), ..
            } => drop(reply.send(done.map(|_| ()))),
            Self::Settle { reply: None, .. } => {}
            Self::PruneDay { reply, .. } => drop(reply.send(done)),
        }
    }
}
