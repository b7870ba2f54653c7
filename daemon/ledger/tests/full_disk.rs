//! A full disk: running requests end and are recorded, new ones are refused, and it recovers by itself.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

mod support;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use mains_ledger::{Disk, Ledger, LedgerConfig, LedgerError, Outcome};
use mains_types::Settlement;
use support::vfs::Recorder;
use support::{MIDNIGHT_MS, block, database, integrity, row, rows};

const RESERVE: u64 = 256 << 10;
const PLENTY: u64 = 64 << 20;

/// A disk whose room is the recorder's: database, log and reserve share it.
struct Shared(&'static Recorder);

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Shared({})", self.0.name())
    }
}

impl Disk for Shared {
    fn free_bytes(&self, _folder: &Path) -> io::Result<u64> {
        Ok(self.0.room())
    }

    fn hold(&self, _reserve: &Path, bytes: u64) -> io::Result<()> {
        let left = self
            .0
            .room()
            .checked_sub(bytes)
            .ok_or(io::ErrorKind::StorageFull)?;
        self.0.set_room(left);
        Ok(())
    }

    fn release(&self, _reserve: &Path) -> io::Result<()> {
        self.0.set_room(self.0.room() + RESERVE);
        Ok(())
    }
}

fn full_when_told(name: &str) -> (tempfile::TempDir, &'static Recorder, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::register(name);
    recorder.set_room(PLENTY);
    let config = LedgerConfig {
        reserve_bytes: RESERVE,
        resume_bytes: RESERVE,
        vfs: Some(recorder.name()),
        disk: Arc::new(Shared(recorder)),
    };
    let ledger = Ledger::open(&database(folder.path()), config).unwrap();
    assert_eq!(
        recorder.room() / RESERVE,
        PLENTY / RESERVE - 2,
        "the reserve is held, the tables are small"
    );
    (folder, recorder, ledger)
}

fn ended(completion_tokens: u32) -> Outcome {
    Outcome {
        completion_tokens,
        ..Outcome::default()
    }
}

#[test]
fn running_requests_end_and_new_ones_wait_for_room() {
    let (folder, recorder, ledger) = full_when_told("full");
    block(async {
        let mut running = ledger.begin(row("running", MIDNIGHT_MS, 500)).await.unwrap();
        assert!(!ledger.health().disk_full);
        recorder.set_room(0);
        running.cover(100).await.unwrap();
        assert!(ledger.health().disk_full);
        assert!(ledger.health().unready().is_some());
        let refused = ledger.begin(row("new", MIDNIGHT_MS, 500)).await.unwrap_err();
        assert_eq!(
            refused,
            LedgerError::DiskFull {
                path: database(folder.path()),
                needed: 2 * RESERVE
            }
        );
        running.cover(200).await.unwrap();
        running.settle(ended(200)).await.unwrap();

        recorder.set_room(2 * RESERVE - 1);
        assert!(ledger.begin(row("early", MIDNIGHT_MS, 500)).await.is_err());
        recorder.set_room(PLENTY);
        ledger
            .begin(row("late", MIDNIGHT_MS, 500))
            .await
            .unwrap()
            .settle(ended(3))
            .await
            .unwrap();
        assert!(!ledger.health().disk_full);
        assert_eq!(
            recorder.room() / RESERVE,
            PLENTY / RESERVE - 2,
            "the reserve is held again"
        );
    });
    let found: Vec<_> = rows(&ledger)
        .into_iter()
        .map(|row| (row.id, row.completion_tokens, row.settled))
        .collect();
    let exact = Some(Settlement::Exact);
    assert_eq!(
        found,
        [("running".to_owned(), 200, exact), ("late".to_owned(), 3, exact)]
    );
    drop(ledger);
    assert_eq!(integrity(&database(folder.path())), "ok");
}

#[test]
fn a_settlement_without_any_room_is_kept_until_there_is_some() {
    let (folder, recorder, ledger) = full_when_told("fuller");
    block(async {
        let mut first = ledger.begin(row("first", MIDNIGHT_MS, 500)).await.unwrap();
        let second = ledger.begin(row("second", MIDNIGHT_MS, 500)).await.unwrap();
        recorder.set_room(0);
        first.cover(100).await.unwrap();
        recorder.set_room(0);
        assert!(
            first.cover(200).await.is_err(),
            "tokens without a lease must not leave"
        );
        assert!(first.settle(ended(100)).await.is_err());
        drop(second);
        assert!(ledger.begin(row("new", MIDNIGHT_MS, 500)).await.is_err());
        assert_eq!(ledger.health().unrecorded, 2);
        recorder.set_room(PLENTY);
        ledger
            .begin(row("late", MIDNIGHT_MS, 500))
            .await
            .unwrap()
            .settle(ended(3))
            .await
            .unwrap();
        assert_eq!(ledger.health().unrecorded, 0);
    });
    let found: Vec<_> = rows(&ledger)
        .into_iter()
        .map(|row| (row.id, row.completion_tokens, row.settled))
        .collect();
    let (exact, lease) = (Some(Settlement::Exact), Some(Settlement::Lease));
    let expected = [("first", 100, exact), ("second", 0, lease), ("late", 3, exact)];
    assert_eq!(
        found,
        expected.map(|(id, tokens, settled)| (id.to_owned(), tokens, settled))
    );
    drop(ledger);
    assert_eq!(integrity(&database(folder.path())), "ok");
}

/// A small file system of its own, gone when it is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(at);
        mount.output().ok()?.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Writes zeros until there is no room; returns the file.
fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    while io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    path
}

#[test]
fn a_real_file_system_fills_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(small) = Tmpfs::mount(folder.path(), 16 << 20) else {
        println!("skipped: mounting a tmpfs needs root");
        return;
    };
    let config = LedgerConfig {
        reserve_bytes: 4 << 20,
        resume_bytes: 1 << 20,
        ..LedgerConfig::default()
    };
    let ledger = Ledger::open(&database(&small.0), config).unwrap();
    block(async {
        let mut running = ledger.begin(row("running", MIDNIGHT_MS, 5000)).await.unwrap();
        let filler = fill(&small.0);
        for tokens in (0..=4000).step_by(40) {
            running.cover(tokens).await.unwrap();
        }
        assert!(ledger.health().disk_full);
        let refused = ledger.begin(row("new", MIDNIGHT_MS, 500)).await;
        assert!(
            matches!(refused, Err(LedgerError::DiskFull { .. })),
            "{refused:?}"
        );
        running.settle(ended(4000)).await.unwrap();
        std::fs::remove_file(filler).unwrap();
        ledger
            .begin(row("late", MIDNIGHT_MS, 500))
            .await
            .unwrap()
            .settle(ended(3))
            .await
            .unwrap();
    });
    let found: Vec<_> = rows(&ledger)
        .into_iter()
        .map(|row| (row.id, row.completion_tokens))
        .collect();
    assert_eq!(found, [("running".to_owned(), 4000), ("late".to_owned(), 3)]);
    drop(ledger);
    assert_eq!(integrity(&database(&small.0)), "ok");
}
