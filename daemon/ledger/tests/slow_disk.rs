//! A disk that takes its time: the ledger is not ready, it lives, and nothing is lost.

mod support;

use std::time::Duration;

use mains_ledger::{Ledger, LedgerConfig, Outcome};
use support::vfs::Recorder;
use support::{MIDNIGHT_MS, block, database, row, rows};

#[test]
fn a_sync_that_hangs_is_told_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::register("slow");
    let config = LedgerConfig {
        reserve_bytes: 1,
        vfs: Some(recorder.name()),
        ..LedgerConfig::default()
    };
    let ledger = Ledger::open(&database(folder.path()), config).unwrap();
    assert_eq!(ledger.health().oldest_wait, None);
    recorder.close_gate();
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            block(async {
                let meter = ledger.begin(row("a", MIDNIGHT_MS, 10)).await.unwrap();
                meter
                    .settle(Outcome {
                        completion_tokens: 10,
                        ..Outcome::default()
                    })
                    .await
                    .unwrap();
            });
        });
        recorder.wait_for_sync();
        let health = ledger.health();
        assert!(health.committing && health.oldest_wait.is_some());
        assert!(
            health.live(Duration::ZERO),
            "a slow disk is no reason to kill the daemon"
        );
        assert_eq!(rows(&ledger), [], "what is not durable is not told");
        recorder.open_gate();
        client.join().unwrap();
    });
    assert_eq!(rows(&ledger).first().unwrap().completion_tokens, 10);
}
