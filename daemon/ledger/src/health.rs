//! Whether the ledger can record, told without waiting for it.

use std::time::Duration;

/// A commit that waits longer than this makes the ledger not ready. A healthy disk syncs in under 50 ms; a second is
/// what a client notices.
pub const SLOW_COMMIT: Duration = Duration::from_secs(1);

/// State of the writer thread at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// The thread has ended: nothing is recorded any more.
    pub stopped: bool,
    /// The thread is inside a commit, so that a slow disk explains its silence.
    pub committing: bool,
    /// Time since the thread last began a round.
    pub last_round: Duration,
    /// How long the oldest unanswered call has waited.
    pub oldest_wait: Option<Duration>,
    /// New requests are refused until the disk has room again.
    pub disk_full: bool,
    /// Settlements that a full disk has delayed; they are tried again until they succeed.
    pub unrecorded: usize,
}

impl Health {
    /// Whether the thread lives, for a watchdog: a slow disk is no reason to kill the daemon.
    #[must_use]
    pub fn live(&self, silence: Duration) -> bool {
        !self.stopped && (self.committing || self.last_round <= silence)
    }

    /// Why requests should go elsewhere, in plain words; absent when the ledger records in time.
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        if self.stopped {
            return Some("the ledger has stopped; restart mainsd and see its log".to_owned());
        }
        if self.disk_full {
            return Some("the ledger's disk is full; free some space".to_owned());
        }
        let wait = self.oldest_wait.filter(|wait| *wait > SLOW_COMMIT)?;
        Some(format!(
            "the ledger's disk is slow: a commit has waited {} ms",
            wait.as_millis()
        ))
    }
}
