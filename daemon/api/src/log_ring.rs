//! The newest lines of the log, kept for administrators.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use mains_wire::http::LogLine;
use tokio::sync::broadcast;

/// Lines that are kept: about 1 MiB, and some days of a quiet daemon.
pub const KEPT_LINES: usize = 2_000;

/// Lines that a follower may lag behind before it is told that it missed some.
const FOLLOW_LINES: usize = 256;

/// A bounded ring of log lines. Cheap to clone; every clone is the same ring.
#[derive(Debug, Clone)]
pub struct LogRing {
    kept: Arc<Mutex<VecDeque<Arc<LogLine>>>>,
    follow: broadcast::Sender<Arc<LogLine>>,
}

impl Default for LogRing {
    fn default() -> Self {
        Self {
            kept: Arc::default(),
            follow: broadcast::Sender::new(FOLLOW_LINES),
        }
    }
}

impl LogRing {
    /// Adds a line; the oldest goes when there are [`KEPT_LINES`]. Never waits for a reader.
    pub fn push(&self, line: LogLine) {
        let line = Arc::new(line);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&line));
        // Sent under the lock, so that whoever subscribes gets each line once. An error says that nobody follows.
        drop(self.follow.send(line));
    }

    /// The newest `count` lines, the oldest first, and what comes after them.
    pub(crate) fn tail(&self, count: usize) -> (Vec<Arc<LogLine>>, broadcast::Receiver<Arc<LogLine>>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = kept.len().saturating_sub(count);
        (
            kept.iter().skip(skipped).cloned().collect(),
            self.follow.subscribe(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_LINES, LogRing};
    use mains_wire::http::LogLine;

    fn line(number: usize) -> LogLine {
        LogLine {
            time: String::new(),
            level: "INFO".to_owned(),
            target: String::new(),
            message: number.to_string(),
            fields: serde_json::Map::new(),
        }
    }

    #[test]
    fn keeps_the_newest() {
        let ring = LogRing::default();
        (0..KEPT_LINES + 3).for_each(|number| ring.push(line(number)));
        let (all, _) = ring.tail(usize::MAX);
        assert_eq!(all.len(), KEPT_LINES);
        assert_eq!(all[0].message, "3");
        let (last, mut next) = ring.tail(1);
        assert_eq!(last[0].message, (KEPT_LINES + 2).to_string());
        ring.push(line(9));
        assert_eq!(next.try_recv().unwrap().message, "9");
    }
}
