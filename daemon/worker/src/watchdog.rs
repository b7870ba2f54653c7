//! The unit's watchdog (`WatchdogSec=`, sd_notify(3)): fed by the working thread alone, so that a thread that hangs is noticed.

use std::cell::Cell;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Messages within the time that the unit allows between two: one that is late is not the end.
const MESSAGES: u32 = 8;

/// Tells systemd that the working thread lives; does nothing where no unit watches.
#[derive(Debug)]
pub(crate) struct Watchdog {
    every: Option<Duration>,
    told: Cell<Option<Instant>>,
}

impl Watchdog {
    /// The watchdog of this process's unit.
    pub(crate) fn of_unit() -> Self {
        Self::new(sd_notify::watchdog_enabled())
    }

    fn new(limit: Option<Duration>) -> Self {
        Self {
            every: limit.map(|limit| limit / MESSAGES),
            told: Cell::new(None),
        }
    }

    /// To be called between two pieces of work and for each sign of life that the daemon asks for.
    pub(crate) fn feed(&self) {
        if self.is_due(Instant::now()) {
            // Who does not hear it ends this process, which is all that could be done here.
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }

    /// Whether systemd is to be told again at `now`; then it counts as told.
    fn is_due(&self, now: Instant) -> bool {
        let Some(every) = self.every else { return false };
        let due = self
            .told
            .get()
            .is_none_or(|told| now.duration_since(told) >= every);
        if due {
            self.told.set(Some(now));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Watchdog;

    #[test]
    fn it_is_fed_some_times_within_its_limit_and_not_at_every_step() {
        let watchdog = Watchdog::new(Some(Duration::from_secs(8)));
        let start = Instant::now();
        assert!(watchdog.is_due(start));
        assert!(!watchdog.is_due(start + Duration::from_millis(999)));
        assert!(watchdog.is_due(start + Duration::from_millis(1000)));
        assert!(!watchdog.is_due(start + Duration::from_millis(1001)));
    }

    #[test]
    fn nobody_is_told_where_nobody_watches() {
        assert!(!Watchdog::new(None).is_due(Instant::now()));
    }
}
