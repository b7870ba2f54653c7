//! The log: collected by a layer that never waits, written by one thread.
//!
//! A line goes into the ring that administrators read and through a bounded channel to the thread, which writes to
//! journald (when systemd says that it reads our standard error) or to standard error. When the channel is full lines
//! are dropped, counted, and the count is logged. `tracing-journald` sends from the caller's thread and waits while
//! journald does, so the thread uses the journal's own client library instead.

mod layer;
mod sink;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};

use mains_api::LogRing;
use mains_wire::http::LogLine;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogLevel;
use layer::Collect;
use sink::Sink;

/// Lines that may wait for the thread: a burst of seconds, and under 1 MiB.
const WAITING_LINES: usize = 1_024;

/// The log of this process.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    /// The newest lines.
    pub(crate) ring: LogRing,
    level: Arc<AtomicU8>,
}

impl Log {
    /// Starts the log at `level`. Called once, before other threads.
    ///
    /// # Errors
    /// When the thread cannot be started or another log is there.
    pub(crate) fn start(level: LogLevel) -> anyhow::Result<Self> {
        let log = Self {
            ring: LogRing::default(),
            level: Arc::new(AtomicU8::new(level as u8)),
        };
        let (lines, waiting) = mpsc::sync_channel(WAITING_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let collect = Collect {
            ring: log.ring.clone(),
            level: Arc::clone(&log.level),
            lines,
            dropped: Arc::clone(&dropped),
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(&waiting, &dropped, Sink::find()))?;
        tracing_subscriber::registry().with(collect).try_init()?;
        Ok(log)
    }

    /// Logs at `level` from now on.
    pub(crate) fn set_level(&self, level: LogLevel) {
        self.level.store(level as u8, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }
}

fn write(waiting: &Receiver<Arc<LogLine>>, dropped: &AtomicU64, sink: Sink) {
    while let Ok(line) = waiting.recv() {
        sink.write(&line);
        let missed = dropped.swap(0, Ordering::Relaxed);
        if missed > 0 {
            sink.write(&LogLine {
                time: jiff::Timestamp::now().to_string(),
                level: "WARN".to_owned(),
                target: "mainsd::logging".to_owned(),
                message: format!("{missed} lines came faster than they could be written and were dropped"),
                fields: serde_json::Map::new(),
            });
        }
    }
}
