//! What the daemon costs: processor time a request and a token, and the time that it adds, with a worker that computes nothing.
//!
//! `cargo build --release -p mains-null-worker && cargo bench -p mains-daemon --bench cost [-- FOLDER]`. Clients stream chat
//! completions over the request socket, each on its own kept connection, one request after the other. The state folder is once in
//! memory and once in FOLDER on a disk, so that what a sync takes stands apart. Processor time is that of `mainsd` with its
//! ledger and without workers and clients; a token's is the difference between long and short answers. Latencies are those of
//! the short answers, with every client asking again at once: at 64 streams they are what saturated processors give.

mod client;
mod daemon;
mod machine;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use client::{Load, Timing};
use daemon::Daemon;
use machine::percentiles;

/// Tokens of a short answer: the one that costs what a request costs.
const SHORT: u32 = 1;
/// Tokens of a long answer: several leases, as most answers have.
const LONG: u32 = 201;

/// One line of the table.
struct Case {
    /// A model of [`daemon::MODELS`].
    model: &'static str,
    streams: usize,
    /// Answers of [`SHORT`] and of [`LONG`] tokens, a stream.
    short: usize,
    long: usize,
}

/// A stream alone and the 64 that a box is made for, as fast as frames go and in the pace of a model. Counts give the
/// processor's clock a tenth of a second or more, and each line at most some ten seconds.
const CASES: [Case; 4] = [
    Case {
        model: "fast",
        streams: 1,
        short: 500,
        long: 40,
    },
    Case {
        model: "fast",
        streams: 64,
        short: 30,
        long: 4,
    },
    Case {
        model: "paced",
        streams: 1,
        short: 100,
        long: 8,
    },
    Case {
        model: "paced",
        streams: 64,
        short: 30,
        long: 4,
    },
];

/// Processor and wall time of `load` and of each request in it.
struct Measured {
    requests: f64,
    processor: Duration,
    wall: Duration,
    timings: Vec<Timing>,
}

fn main() -> Result<()> {
    // `cargo bench` itself passes `--bench`.
    let chosen = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let disk = chosen.as_deref().unwrap_or(env!("CARGO_TARGET_TMPDIR"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    println!("{}", machine::describe()?);
    for (name, folder) in [("memory", "/dev/shm"), ("disk", disk)] {
        runtime
            .block_on(measure(name, Path::new(folder)))
            .with_context(|| format!("with the state in {folder}"))?;
    }
    Ok(())
}

async fn measure(name: &str, parent: &Path) -> Result<()> {
    let daemon = Daemon::start(parent)?;
    println!(
        "\nstate in {name} ({}): write of 16 KiB and fdatasync {}",
        parent.display(),
        machine::syncs(daemon.folder())?
    );
    println!(
        "worker  streams  CPU us/request  CPU us/token  first token p50 / p99 ms  whole p50 / p99 ms  requests/s  tokens/s"
    );
    for case in &CASES {
        let load = |each, tokens| Load {
            socket: daemon.socket(),
            model: case.model,
            streams: case.streams,
            each,
            tokens,
        };
        // The first request loads the model.
        client::drive(&load(1, SHORT)).await?;
        let short = run(&daemon, &load(case.short, SHORT)).await?;
        let long = run(&daemon, &load(case.long, LONG)).await?;
        let cost = |measured: &Measured| measured.processor.as_secs_f64() * 1e6 / measured.requests;
        let token = (cost(&long) - cost(&short)) / f64::from(LONG - SHORT);
        let (first, whole): (Vec<_>, Vec<_>) = short
            .timings
            .iter()
            .map(|timing| (timing.first, timing.whole))
            .unzip();
        println!(
            "{:<6}  {:>7}  {:>14.0}  {token:>12.1}  {:>24}  {:>18}  {:>10.0}  {:>8.0}",
            case.model,
            case.streams,
            token.mul_add(-f64::from(SHORT), cost(&short)),
            percentiles(first),
            percentiles(whole),
            short.requests / short.wall.as_secs_f64(),
            long.requests * f64::from(LONG) / long.wall.as_secs_f64(),
        );
    }
    daemon.end()
}

async fn run(daemon: &Daemon, load: &Load<'_>) -> Result<Measured> {
    let (before, start) = (daemon.processor_time()?, Instant::now());
    let timings = client::drive(load).await?;
    Ok(Measured {
        requests: timings.len() as f64,
        processor: daemon.processor_time()?.saturating_sub(before),
        wall: start.elapsed(),
        timings,
    })
}
