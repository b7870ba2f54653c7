//! Power cuts: a run is recorded below SQLite, and from any moment of it disks are made on which every synced write is
//! there and of the others any subset, each whole, torn at sectors, or absent. On each, the ledger must open sound, with
//! every row that was acknowledged.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

mod support;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use mains_ledger::{LEASE_TOKENS, Ledger, LedgerConfig, Outcome, RequestRow};
use mains_types::Settlement;
use proptest::prelude::*;
use support::vfs::{Event, Recorder};
use support::{MIDNIGHT_MS, block, database, integrity, row, rows};

/// Bytes that a disk writes whole.
const SECTOR: usize = 512;

/// Requests of the recorded run: enough that the write-ahead log is checkpointed and begun again several times.
const REQUESTS: u32 = 1200;

/// What the ledger promised when `at` events were recorded.
#[derive(Debug, Clone)]
struct Promise {
    at: usize,
    id: String,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Begun,
    Received(u32),
    Settled(u32),
}

struct Run {
    events: Vec<Event>,
    promises: Vec<Promise>,
}

static RUN: LazyLock<Run> = LazyLock::new(record);

/// Opens the disks that were made; its syncs cost nothing.
static REPLAY: LazyLock<&Recorder> = LazyLock::new(|| Recorder::register("replay"));

fn config(vfs: &Recorder) -> LedgerConfig {
    LedgerConfig {
        reserve_bytes: 1,
        vfs: Some(vfs.name()),
        ..LedgerConfig::default()
    }
}

fn record() -> Run {
    let recorder = Recorder::register("recording");
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&database(folder.path()), config(recorder)).unwrap();
    let promises = Mutex::new(Vec::new());
    let promise = |id: &str, what: What| {
        let at = recorder.len();
        promises.lock().unwrap().push(Promise {
            at,
            id: id.to_owned(),
            what,
        });
    };
    let client = async |client: u32| {
        for number in 0..REQUESTS / 4 {
            let id = format!("r{client}-{number}");
            let most = number * 37 % 200;
            let mut meter = ledger.begin(row(&id, MIDNIGHT_MS, most)).await.unwrap();
            promise(&id, What::Begun);
            let mut received = 0;
            while received < most {
                received = (received + 1 + number % 40).min(most);
                meter.cover(received).await.unwrap();
                promise(&id, What::Received(received));
            }
            let outcome = Outcome {
                completion_tokens: received,
                ..Outcome::default()
            };
            meter.settle(outcome).await.unwrap();
            promise(&id, What::Settled(received));
        }
    };
    block(async {
        tokio::join!(client(0), client(1), client(2), client(3));
    });
    drop(ledger);
    Run {
        events: recorder.recording(),
        promises: promises.into_inner().unwrap(),
    }
}

/// A stream of bits for the fate of writes (`SplitMix64`, Steele et al., 2014).
struct Fate(u64);

impl Fate {
    fn next(&mut self, choices: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % choices
    }
}

/// The files after a cut when `events` had been asked for.
fn disk(events: &[Event], mut fate: Fate) -> HashMap<PathBuf, Vec<u8>> {
    let mut synced: HashMap<&Path, usize> = HashMap::new();
    for (index, event) in events.iter().enumerate() {
        if let Event::Sync { file } = event {
            synced.insert(file, index);
        }
    }
    let mut files: HashMap<PathBuf, Vec<u8>> = HashMap::new();
    for (index, event) in events.iter().enumerate() {
        let durable = synced
            .get(event.file().as_path())
            .is_some_and(|sync| index < *sync);
        let file = files.entry(event.file().clone()).or_default();
        match event {
            Event::Sync { .. } => {}
            Event::Truncate { length, .. } => {
                if durable || fate.next(2) == 0 {
                    file.resize(usize::try_from(*length).unwrap(), 0);
                }
            }
            Event::Write { offset, bytes, .. } => {
                let whole = if durable { 0 } else { fate.next(3) };
                let start = usize::try_from(*offset).unwrap();
                for (sector, part) in bytes.chunks(SECTOR).enumerate() {
                    if whole == 0 || (whole == 1 && fate.next(2) == 0) {
                        put(file, start + sector * SECTOR, part);
                    }
                }
            }
        }
    }
    files
}

fn put(file: &mut Vec<u8>, start: usize, bytes: &[u8]) {
    let end = start + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[start..end].copy_from_slice(bytes);
}

/// Opens what a cut after `cut` events left and reads it.
fn survive(cut: usize, seed: u64) -> (Vec<RequestRow>, String) {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in disk(&RUN.events[..cut], Fate(seed)) {
        std::fs::write(folder.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    let ledger = Ledger::open(&database(folder.path()), config(*REPLAY)).unwrap();
    let found = rows(&ledger);
    drop(ledger);
    (found, integrity(&database(folder.path())))
}

fn check(cut: usize, found: &[RequestRow]) {
    let kept: Vec<&Promise> = RUN.promises.iter().filter(|promise| promise.at <= cut).collect();
    let ids: HashSet<&str> = found.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), found.len(), "a row is there twice");
    for promise in &kept {
        assert!(ids.contains(promise.id.as_str()), "{promise:?} is lost");
    }
    for row in found {
        let of_row = kept
            .iter()
            .filter(|promise| promise.id == row.id)
            .map(|promise| promise.what);
        let (mut received, mut settled) = (0, None);
        for what in of_row {
            match what {
                What::Begun => {}
                What::Received(tokens) => received = received.max(tokens),
                What::Settled(tokens) => settled = Some(tokens),
            }
        }
        let billed = row.completion_tokens;
        assert!(
            received <= billed && billed <= received + LEASE_TOKENS,
            "received {received}: {row:?}"
        );
        if let Some(tokens) = settled {
            assert_eq!(
                (billed, row.settled),
                (tokens, Some(Settlement::Exact)),
                "{row:?}"
            );
        }
        assert!(row.settled.is_some());
    }
}

#[test]
fn the_recording_has_what_the_test_is_about() {
    let of = |suffix: &str| {
        let mut writes = 0;
        let mut syncs = 0;
        for event in RUN
            .events
            .iter()
            .filter(|event| event.file().to_string_lossy().ends_with(suffix))
        {
            match event {
                Event::Write { .. } => writes += 1,
                Event::Sync { .. } => syncs += 1,
                Event::Truncate { .. } => {}
            }
        }
        (writes, syncs)
    };
    let (log, database) = (of("-wal"), of(".db"));
    assert!(log.0 > 1000 && log.1 > 200, "{log:?}");
    assert!(database.0 > 60 && database.1 > 3, "checkpoints: {database:?}");
    assert_eq!(
        RUN.promises
            .iter()
            .filter(|promise| promise.what == What::Begun)
            .count(),
        REQUESTS as usize
    );
}

#[test]
fn a_cut_at_the_very_start_leaves_a_ledger_that_opens() {
    let first = RUN.promises.first().unwrap().at;
    for cut in 0..first {
        for seed in 0..4 {
            let (found, report) = survive(cut, seed);
            assert_eq!(report, "ok", "cut {cut} seed {seed}");
            check(cut, &found);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 160, ..ProptestConfig::default() })]
    #[test]
    fn every_acknowledged_row_survives_a_cut(cut in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let cut = cut.index(RUN.events.len() + 1);
        let (found, report) = survive(cut, seed);
        prop_assert_eq!(report, "ok");
        check(cut, &found);
    }
}
