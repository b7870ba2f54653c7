//! Whether the ledger can record, told without waiting for it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
    /// Time since the thread last began a round; it begins one at least every [`crate::ROUND`].
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

/// What the writer thread tells of itself. Microseconds count from `start`, and 0 is never a moment.
#[derive(Debug)]
pub(crate) struct Pulse {
    start: Instant,
    round_us: AtomicU64,
    oldest_us: AtomicU64,
    committing: AtomicBool,
    disk_full: AtomicBool,
    unrecorded: AtomicUsize,
    stopped: AtomicBool,
}

impl Pulse {
    /// A thread that begins at `start`.
    pub(crate) const fn new(start: Instant) -> Self {
        Self {
            start,
            round_us: AtomicU64::new(1),
            oldest_us: AtomicU64::new(0),
            committing: AtomicBool::new(false),
            disk_full: AtomicBool::new(false),
            unrecorded: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    fn moment(&self, at: Instant) -> u64 {
        let micros = at.saturating_duration_since(self.start).as_micros();
        u64::try_from(micros).unwrap_or(u64::MAX).max(1)
    }

    /// A round begins; `oldest` is when the first of its calls was made.
    pub(crate) fn begin(&self, now: Instant, oldest: Option<Instant>) {
        self.round_us.store(self.moment(now), Ordering::Relaxed);
        let oldest = oldest.map_or(0, |oldest| self.moment(oldest));
        self.oldest_us.store(oldest, Ordering::Relaxed);
        self.committing.store(oldest != 0, Ordering::Relaxed);
    }

    /// The round has ended; its calls are answered next, so that who has an answer finds this state.
    pub(crate) fn end(&self, disk_full: bool, unrecorded: usize) {
        self.committing.store(false, Ordering::Relaxed);
        self.oldest_us.store(0, Ordering::Relaxed);
        self.disk_full.store(disk_full, Ordering::Relaxed);
        self.unrecorded.store(unrecorded, Ordering::Relaxed);
    }

    /// The thread has ended.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// What is known at `now`.
    pub(crate) fn health(&self, now: Instant) -> Health {
        let now = self.moment(now);
        let since = |then: u64| Duration::from_micros(now.saturating_sub(then));
        let oldest = self.oldest_us.load(Ordering::Relaxed);
        Health {
            stopped: self.stopped.load(Ordering::Relaxed),
            committing: self.committing.load(Ordering::Relaxed),
            last_round: since(self.round_us.load(Ordering::Relaxed)),
            oldest_wait: (oldest != 0).then(|| since(oldest)),
            disk_full: self.disk_full.load(Ordering::Relaxed),
            unrecorded: self.unrecorded.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_slow_disk_is_not_ready_and_lives() {
        let start = Instant::now();
        let pulse = Pulse::new(start);
        pulse.begin(start + SECOND, Some(start + SECOND / 2));
        let health = pulse.health(start + 60 * SECOND);
        assert!(health.live(2 * SECOND));
        assert_eq!(health.oldest_wait, Some(Duration::from_millis(59_500)));
        assert!(health.unready().is_some_and(|why| why.contains("slow")));
    }

    #[test]
    fn silence_without_a_commit_is_death() {
        let start = Instant::now();
        let pulse = Pulse::new(start);
        pulse.begin(start + SECOND, None);
        pulse.end(false, 0);
        assert!(pulse.health(start + 2 * SECOND).live(2 * SECOND));
        assert!(!pulse.health(start + 4 * SECOND).live(2 * SECOND));
        assert_eq!(pulse.health(start + 4 * SECOND).unready(), None);
        pulse.stop();
        assert!(!pulse.health(start + SECOND).live(2 * SECOND));
    }

    #[test]
    fn a_full_disk_is_not_ready() {
        let start = Instant::now();
        let pulse = Pulse::new(start);
        pulse.end(true, 3);
        let health = pulse.health(start);
        assert_eq!((health.unrecorded, health.unready().is_some()), (3, true));
    }
}
