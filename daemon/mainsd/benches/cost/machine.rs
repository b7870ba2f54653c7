//! The machine that is measured on, and how its figures are told.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Timestamp;

/// Bytes that one commit of the ledger appends to the write-ahead log: four pages of 4 KiB.
const COMMIT_BYTES: usize = 16 << 10;
/// Syncs that are timed.
const SYNCS: usize = 100;

/// Date, version, processor and memory, in a line.
pub(crate) fn describe() -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "{}: mainsd {}, {} x {}, {} of memory, Linux {}",
        Timestamp::now().strftime("%Y-%m-%d"),
        env!("CARGO_PKG_VERSION"),
        thread::available_parallelism()?,
        field(&processors, "model name"),
        field(&memory, "MemTotal"),
        kernel.trim(),
    ))
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.split_once(':'))
        .map_or("unknown", |(_, value)| value.trim())
}

/// What the disk under `folder` takes for what a commit does.
pub(crate) fn syncs(folder: &Path) -> Result<String> {
    let mut file = File::create(folder.join("sync"))?;
    let block = vec![0x5a; COMMIT_BYTES];
    let times: std::io::Result<Vec<Duration>> = (0..SYNCS)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&block)?;
            file.sync_data()?;
            Ok(start.elapsed())
        })
        .collect();
    Ok(format!("p50 / p99 {} ms", percentiles(times?)))
}

/// The 50th and the 99th percentile in milliseconds.
pub(crate) fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    format!("{:.2} / {:.2}", at(50), at(99))
}
