//! The life of one model. Pure: events and time in, an action out.
//!
//! ```text
//!            wanted, asked            spawned            loaded
//! Stopped ------------------> Starting -------> Loading --------> Ready
//!    ^                            |                |               |  |
//!    |                            | refused,       | refused,      |  | unload, with requests
//!    |                            | unload         | unload        |  +-----------> Draining
//!    |                            v                v               |                   |
//!    |<-- worker gone ------- Stopping <---------------------------+                   |
//!    |                            |  ^          unload, idle               last request done
//!    |                            |  +-------------------------------------------------+
//!    |                            | worker gone, refused for good
//!    |                            v
//!    |<-- changed, asked ---- Failed
//!    |
//!    +<-- time is over, asked -- Backoff <-- worker gone, from Starting, Loading or Ready
//! ```
//!
//! A life of a worker begins with [`Action::Start`] and ends with [`Event::WorkerGone`], which follows every
//! [`Action::EndWorker`]. A single crash restarts at once; from the second in a row on there is a wait that doubles. A row
//! ends when a worker answers a request or is loaded for [`STABLE`].

use std::time::{Duration, Instant};

use crate::ModelState;

/// A worker that was loaded for so long did not die of its load; longer than [`LONGEST_BACKOFF`], so that a loop can not look
/// stable.
pub(crate) const STABLE: Duration = Duration::from_mins(2);

/// The wait before the third start in a row.
pub(crate) const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// The longest wait between two starts: what an administrator who has mended something waits at the most.
pub(crate) const LONGEST_BACKOFF: Duration = Duration::from_mins(1);

/// Crashes in a row from which on requests are refused during the wait instead of kept.
pub(crate) const CRASH_LOOP: u32 = 3;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Requests wait, or the model is to be kept loaded.
    Wanted,
    /// Somebody asked for it by `load`.
    Asked,
    /// It is to be unloaded: asked for, evicted, or gone from the configuration.
    Unload,
    /// Its files or its configuration changed.
    Changed,
    /// The worker is up and told to load.
    Spawned,
    /// The worker has loaded it.
    Loaded,
    /// It can not be loaded. `for_good`: not before something changes.
    Refused {
        /// See above.
        for_good: bool,
    },
    /// The worker's end is proved.
    WorkerGone,
    /// A request was admitted.
    Busy,
    /// The last admitted request has ended; it stays loaded for so long.
    Idle(Option<Duration>),
    /// A request was answered to its end.
    Answered,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Action {
    /// Nothing.
    Nothing,
    /// Plan, reserve, start a worker and load.
    Start,
    /// End the worker or the start of one, and say [`Event::WorkerGone`].
    EndWorker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Stopped,
    Starting,
    Loading,
    Ready {
        since: Instant,
        busy: bool,
        unload_at: Option<Instant>,
    },
    Draining,
    Stopping {
        failed: bool,
    },
    Backoff {
        until: Instant,
    },
    Failed,
}

/// The life of one model.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    state: State,
    keep_alive: Option<Duration>,
    crashes: u64,
    crashes_in_a_row: u32,
}

impl Lifecycle {
    /// A model that is not loaded. `keep_alive` is how long it stays loaded without a request; `None` is for ever.
    pub(crate) const fn new(keep_alive: Option<Duration>) -> Self {
        Self {
            state: State::Stopped,
            keep_alive,
            crashes: 0,
            crashes_in_a_row: 0,
        }
    }

    /// Holds from the next load or idle moment on; at once for a model that is idle now.
    pub(crate) fn set_keep_alive(&mut self, keep_alive: Option<Duration>, now: Instant) {
        self.keep_alive = keep_alive;
        if let State::Ready {
            busy: false,
            unload_at,
            ..
        } = &mut self.state
        {
            *unload_at = keep_alive.map(|time| now + time);
        }
    }

    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Action {
        match event {
            Event::Wanted | Event::Asked => self.wanted(event == Event::Asked),
            Event::Unload => self.unload(),
            Event::Changed => {
                self.crashes_in_a_row = 0;
                if matches!(self.state, State::Failed | State::Backoff { .. }) {
                    self.state = State::Stopped;
                }
                Action::Nothing
            }
            Event::Spawned => {
                if self.state == State::Starting {
                    self.state = State::Loading;
                }
                Action::Nothing
            }
            Event::Loaded => {
                if self.state == State::Loading {
                    self.state = State::Ready {
                        since: now,
                        busy: false,
                        unload_at: self.keep_alive.map(|time| now + time),
                    };
                }
                Action::Nothing
            }
            Event::Refused { for_good } => self.refused(for_good),
            Event::WorkerGone => {
                self.worker_gone(now);
                Action::Nothing
            }
            Event::Busy => {
                self.set_idle(true, None);
                Action::Nothing
            }
            Event::Idle(keep) => {
                if self.state == State::Draining {
                    self.state = State::Stopping { failed: false };
                    return Action::EndWorker;
                }
                self.set_idle(false, keep.map(|time| now + time));
                Action::Nothing
            }
            Event::Answered => {
                self.crashes_in_a_row = 0;
                Action::Nothing
            }
            Event::Tick => self.tick(now),
        }
    }

    fn wanted(&mut self, asked: bool) -> Action {
        let start = match self.state {
            State::Stopped => true,
            State::Backoff { .. } | State::Failed => asked,
            _ => false,
        };
        if !start {
            return Action::Nothing;
        }
        if asked {
            self.crashes_in_a_row = 0;
        }
        self.state = State::Starting;
        Action::Start
    }

    const fn unload(&mut self) -> Action {
        match self.state {
            State::Ready { busy: true, .. } => {
                self.state = State::Draining;
                Action::Nothing
            }
            State::Starting | State::Loading | State::Ready { .. } => {
                self.state = State::Stopping { failed: false };
                Action::EndWorker
            }
            State::Backoff { .. } => {
                self.state = State::Stopped;
                Action::Nothing
            }
            State::Stopped | State::Draining | State::Stopping { .. } | State::Failed => Action::Nothing,
        }
    }

    const fn refused(&mut self, for_good: bool) -> Action {
        match self.state {
            State::Starting | State::Loading => {
                self.state = State::Stopping { failed: for_good };
                Action::EndWorker
            }
            _ => Action::Nothing,
        }
    }

    fn worker_gone(&mut self, now: Instant) {
        self.state = match self.state {
            State::Stopping { failed: true } => State::Failed,
            State::Stopping { failed: false } => State::Stopped,
            State::Draining => {
                self.crashes += 1;
                State::Stopped
            }
            State::Starting | State::Loading => self.crashed(false, now),
            State::Ready { since, .. } => self.crashed(now.duration_since(since) >= STABLE, now),
            State::Stopped | State::Backoff { .. } | State::Failed => return,
        };
    }

    fn crashed(&mut self, stable: bool, now: Instant) -> State {
        self.crashes += 1;
        self.crashes_in_a_row = if stable {
            1
        } else {
            self.crashes_in_a_row.saturating_add(1)
        };
        match backoff(self.crashes_in_a_row) {
            Duration::ZERO => State::Stopped,
            wait => State::Backoff { until: now + wait },
        }
    }

    const fn set_idle(&mut self, is_busy: bool, at: Option<Instant>) {
        if let State::Ready { busy, unload_at, .. } = &mut self.state {
            *busy = is_busy;
            *unload_at = at;
        }
    }

    fn tick(&mut self, now: Instant) -> Action {
        match self.state {
            State::Ready {
                busy: false,
                unload_at: Some(at),
                ..
            } if at <= now => {
                self.state = State::Stopping { failed: false };
                Action::EndWorker
            }
            State::Backoff { until } if until <= now => {
                self.state = State::Stopped;
                Action::Nothing
            }
            _ => Action::Nothing,
        }
    }

    /// When [`Event::Tick`] is next of use.
    pub(crate) const fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Ready {
                busy: false,
                unload_at,
                ..
            } => unload_at,
            State::Backoff { until } => Some(until),
            _ => None,
        }
    }

    /// How long until the next start is allowed, in a crash loop in which requests are refused.
    pub(crate) fn refuses_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Backoff { until } if self.crashes_in_a_row >= CRASH_LOOP => {
                Some(until.saturating_duration_since(now))
            }
            _ => None,
        }
    }

    pub(crate) const fn state(&self) -> ModelState {
        match self.state {
            State::Stopped => ModelState::Stopped,
            State::Starting => ModelState::Starting,
            State::Loading => ModelState::Loading,
            State::Ready { .. } => ModelState::Ready,
            State::Draining => ModelState::Draining,
            State::Stopping { .. } => ModelState::Stopping,
            State::Backoff { .. } => ModelState::Backoff,
            State::Failed => ModelState::Failed,
        }
    }

    pub(crate) const fn crashes(&self) -> u64 {
        self.crashes
    }

    pub(crate) const fn crashes_in_a_row(&self) -> u32 {
        self.crashes_in_a_row
    }
}

/// The wait after so many crashes in a row.
fn backoff(crashes_in_a_row: u32) -> Duration {
    match crashes_in_a_row.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            FIRST_BACKOFF.saturating_mul(factor).min(LONGEST_BACKOFF)
        }
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
