//! What a request costs the ledger: `begin`, one extension of the lease, `settle`, each durable, alone and with 64 at once.
//! Processor time is the whole process's; what the disk takes to sync is measured beside it, with plain writes.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mains_ledger::{Ledger, LedgerConfig, LedgerError, OpenRow, Outcome};
use mains_types::{Caller, Peer};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio::task::JoinSet;

/// Bytes that one such commit appends to the write-ahead log: four pages of 4 KiB.
const COMMIT_BYTES: usize = 16 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo bench -- FOLDER` measures another disk. Cargo itself passes `--bench`.
    let chosen = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let folder = tempfile::tempdir_in(chosen.as_deref().unwrap_or(env!("CARGO_TARGET_TMPDIR")))?;
    let mut syncs = syncs(folder.path(), 200)?;
    println!("write of 16 KiB and fdatasync: {}", percentiles(&mut syncs));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for (clients, each) in [(1, 500), (64, 100)] {
        let path = folder.path().join(format!("usage-{clients}.db"));
        let ledger = Ledger::open(&path, LedgerConfig::default())?;
        runtime.block_on(run(&ledger, clients, each))?;
    }
    Ok(())
}

fn syncs(folder: &Path, count: usize) -> std::io::Result<Vec<Duration>> {
    let mut file = File::create(folder.join("sync"))?;
    let block = vec![0x5a; COMMIT_BYTES];
    (0..count)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&block)?;
            file.sync_data()?;
            Ok(start.elapsed())
        })
        .collect()
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(index).map_or(0, Duration::as_micros)
    };
    format!("p50 {} us, p99 {} us", at(50), at(99))
}

/// User and system microseconds of this process.
fn processor() -> nix::Result<(i64, i64)> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((
        usage.user_time().num_microseconds(),
        usage.system_time().num_microseconds(),
    ))
}

async fn run(ledger: &Ledger, clients: u32, each: u32) -> Result<(), Box<dyn std::error::Error>> {
    let (user, system) = processor()?;
    let start = Instant::now();
    let mut set = JoinSet::new();
    for client in 0..clients {
        let ledger = ledger.clone();
        set.spawn(async move {
            let mut times = Vec::new();
            for number in 0..each {
                request(&ledger, format!("chatcmpl-{client}-{number}"), &mut times).await?;
            }
            Ok::<_, LedgerError>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(client) = set.join_next().await {
        times.extend(client??);
    }
    let wall = start.elapsed();
    let (user_after, system_after) = processor()?;
    let requests = i64::from(clients * each);
    println!(
        "{clients} at once: {:.0} requests/s, {:.0} durable calls/s, CPU a request: {} us user + {} us system; a call: {}",
        f64::from(clients * each) / wall.as_secs_f64(),
        f64::from(clients * each) * 3.0 / wall.as_secs_f64(),
        (user_after - user) / requests,
        (system_after - system) / requests,
        percentiles(&mut times),
    );
    Ok(())
}

async fn request(ledger: &Ledger, id: String, times: &mut Vec<Duration>) -> Result<(), LedgerError> {
    let row = OpenRow {
        id,
        time: Timestamp::now(),
        caller: Caller {
            peer: Peer {
                uid: 1000,
                gid: 1000,
                pid: Some(42),
                groups: Vec::new(),
                unit: None,
            },
            team: "red".to_owned(),
        },
        model: "pilot".to_owned(),
        variant: Some("ab".repeat(32)),
        device: Some("cpu".to_owned()),
        prompt_tokens: Some(100),
        cached_tokens: Some(0),
        most_tokens: 200,
    };
    let mut moment = Instant::now();
    let mut lap = || {
        times.push(moment.elapsed());
        moment = Instant::now();
    };
    let mut meter = ledger.begin(row).await?;
    lap();
    meter.cover(64).await?;
    meter.cover(65).await?;
    lap();
    let outcome = Outcome {
        completion_tokens: 65,
        total_ms: Some(900),
        ..Outcome::default()
    };
    meter.settle(outcome).await?;
    lap();
    Ok(())
}
