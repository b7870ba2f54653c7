//! The meter against a model: whatever is begun, covered, settled, dropped or cut off by a crash, every request is in
//! the ledger once, and `received <= billed <= received + LEASE_TOKENS`.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

mod support;

use std::sync::LazyLock;

use mains_ledger::{EXTENSION_TOKENS, LEASE_TOKENS, Ledger, LedgerConfig, Meter, Outcome};
use mains_types::Settlement;
use proptest::prelude::*;
use support::vfs::Recorder;
use support::{MIDNIGHT_MS, block, crash_copy, database, integrity, row, rows};

/// A disk whose syncs cost nothing, for what is tested here is the process's death and not the machine's.
static RECORDER: LazyLock<&Recorder> = LazyLock::new(|| Recorder::register("meter"));

#[derive(Debug, Clone)]
enum Action {
    Begin { most: u32 },
    Send { which: prop::sample::Index, chunk: u32 },
    Settle { which: prop::sample::Index },
    Drop { which: prop::sample::Index, unsent: u32 },
    Crash { which: prop::sample::Index, unsent: u32 },
}

fn action() -> impl Strategy<Value = Action> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        4 => (0..400u32).prop_map(|most| Action::Begin { most }),
        8 => (which(), 0..=EXTENSION_TOKENS).prop_map(|(which, chunk)| Action::Send { which, chunk }),
        2 => which().prop_map(|which| Action::Settle { which }),
        1 => (which(), 0..=EXTENSION_TOKENS).prop_map(|(which, unsent)| Action::Drop { which, unsent }),
        1 => (which(), 0..=EXTENSION_TOKENS).prop_map(|(which, unsent)| Action::Crash { which, unsent }),
    ]
}

struct Request {
    most: u32,
    received: u32,
    meter: Option<Meter>,
    settled: Option<Settlement>,
}

/// The daemon and its clients, one life after another.
struct World {
    folder: tempfile::TempDir,
    ledger: Option<Ledger>,
    requests: Vec<Request>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            ledger: None,
            requests: Vec::new(),
        };
        world.open();
        world
    }

    fn open(&mut self) -> u64 {
        let config = LedgerConfig {
            reserve_bytes: 1,
            vfs: Some(RECORDER.name()),
            ..LedgerConfig::default()
        };
        let ledger = Ledger::open(&database(self.folder.path()), config).unwrap();
        let recovered = ledger.recovered();
        self.ledger = Some(ledger);
        recovered
    }

    fn running(&mut self, which: &prop::sample::Index) -> Option<&mut Request> {
        let mut running: Vec<_> = self
            .requests
            .iter_mut()
            .filter(|request| request.meter.is_some())
            .collect();
        if running.is_empty() {
            return None;
        }
        Some(running.swap_remove(which.index(running.len())))
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Begin { most } => {
                let open = row(&format!("r{}", self.requests.len()), MIDNIGHT_MS, most);
                let meter = self.ledger.as_ref().unwrap().begin(open).await.unwrap();
                self.requests.push(Request {
                    most,
                    received: 0,
                    meter: Some(meter),
                    settled: None,
                });
            }
            Action::Send { which, chunk } => {
                if let Some(request) = self.running(&which) {
                    request.received = request.cover(chunk).await;
                }
            }
            Action::Settle { which } => {
                if let Some(request) = self.running(&which) {
                    let outcome = Outcome {
                        completion_tokens: request.received,
                        ..Outcome::default()
                    };
                    request.meter.take().unwrap().settle(outcome).await.unwrap();
                    request.settled = Some(Settlement::Exact);
                }
            }
            Action::Drop { which, unsent } => {
                if let Some(request) = self.running(&which) {
                    request.cover(unsent).await;
                    request.meter = None;
                    request.settled = Some(Settlement::Lease);
                }
            }
            Action::Crash { which, unsent } => {
                if let Some(request) = self.running(&which) {
                    request.cover(unsent).await;
                }
                self.crash();
            }
        }
    }

    /// The next life finds the files of this moment; what this one still does is not in them.
    fn crash(&mut self) {
        // Drops that are still queued belong to before the crash: a round trip commits them.
        let running = self
            .requests
            .iter()
            .filter(|request| request.meter.is_some())
            .count();
        let ledger = self.ledger.take().unwrap();
        let settled = || rows(&ledger).iter().filter(|row| row.settled.is_some()).count();
        while settled() < self.requests.len() - running {
            std::thread::yield_now();
        }
        let next = tempfile::tempdir().unwrap();
        crash_copy(self.folder.path(), next.path());
        for request in &mut self.requests {
            if request.meter.take().is_some() {
                request.settled = Some(Settlement::Lease);
            }
        }
        drop(ledger);
        self.folder = next;
        let recovered = self.open();
        assert_eq!(recovered, running as u64);
    }
}

impl Request {
    /// Covers `chunk` more tokens, up to the most, and says how many that makes.
    async fn cover(&mut self, chunk: u32) -> u32 {
        let tokens = (self.received + chunk).min(self.most);
        self.meter.as_mut().unwrap().cover(tokens).await.unwrap();
        tokens
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn every_token_that_left_is_billed_and_at_most_a_lease_more(actions in prop::collection::vec(action(), 0..60)) {
        let mut world = World::new();
        block(async {
            for action in actions {
                world.act(action).await;
            }
        });
        world.crash();
        let ledger = world.ledger.take().unwrap();
        let found = rows(&ledger);
        prop_assert_eq!(found.len(), world.requests.len());
        for (index, request) in world.requests.iter().enumerate() {
            let id = format!("r{index}");
            let of_id: Vec<_> = found.iter().filter(|row| row.id == id).collect();
            prop_assert_eq!(of_id.len(), 1);
            let row = of_id[0];
            prop_assert_eq!(row.settled, request.settled);
            prop_assert!(row.completion_tokens >= request.received, "{row:?}");
            prop_assert!(row.completion_tokens <= request.received + LEASE_TOKENS, "{row:?}");
            if row.settled == Some(Settlement::Exact) {
                prop_assert_eq!(row.completion_tokens, request.received);
            }
        }
        drop(ledger);
        prop_assert_eq!(integrity(&database(world.folder.path())), "ok");
    }
}
