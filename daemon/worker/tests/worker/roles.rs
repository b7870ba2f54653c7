//! The roles `probe` and `inspect`, and what holds for all.

use mains_contract::{BlockFormat, DeviceKind};
use mains_types::Digest;
use mains_wire::frames::{FromWorker, Role, ToWorker};

use crate::support::{Worker, facts, inventory, pilot};

#[tokio::test]
async fn probe_finds_the_processors() {
    let inventory = inventory().await;
    let cpu = &inventory.devices[0];
    assert_eq!((cpu.id.as_str(), cpu.kind), ("cpu", DeviceKind::Cpu));
    assert!(cpu.memory.is_some_and(|memory| memory.total.0 > 0));
    assert!(cpu.usable_by.contains(&"cpu".to_owned()));
}

#[tokio::test]
async fn a_worker_asks_one_source_again_and_again() {
    let mut worker = Worker::start(Role::Probe).await;
    for anew in [false, false, true] {
        let source = "cpu".to_owned();
        let Some(FromWorker::Report(report)) = worker.ask(ToWorker::Probe { source, anew }).await else {
            panic!("the processors are there");
        };
        assert_eq!(report.devices.len(), 1);
    }
    let source = "pci".to_owned();
    assert_eq!(worker.ask(ToWorker::Probe { source, anew: false }).await, None);
    assert!(!worker.end().success());
}

#[tokio::test]
async fn inspect_tells_what_the_pilot_is() {
    let facts = facts().await;
    assert_eq!(
        (facts.family.as_str(), facts.layers, facts.chat),
        ("qwen3", 6, true)
    );
    let [costs] = &facts.costs[..] else {
        panic!("one driver was asked for: {:?}", facts.costs);
    };
    assert_eq!(costs.driver, "cpu");
    assert_eq!(costs.kv[0].0, BlockFormat::F16);
    let formats: Vec<_> = facts.tensors.iter().map(|tensor| tensor.format).collect();
    let footprint = costs.formats.footprint(&formats).unwrap();
    assert!(
        footprint.weights.0 >= facts.parameters * 2,
        "BF16 takes two bytes"
    );
    assert!(
        facts
            .tensors
            .iter()
            .any(|tensor| tensor.format == BlockFormat::BF16)
    );
    assert_eq!(facts.file_bytes.0, std::fs::metadata(pilot()).unwrap().len());
}

#[tokio::test]
async fn a_digest_that_is_known_is_said_again() {
    let digest = Digest([7; 32]);
    let mut worker = Worker::start(Role::Inspect).await;
    let inspect = ToWorker::Inspect {
        path: pilot(),
        drivers: Vec::new(),
        digest: Some(digest),
    };
    let Some(FromWorker::Facts(told)) = worker.ask(inspect).await else {
        panic!("no facts");
    };
    let read = facts().await;
    assert_ne!(read.digest, digest);
    assert_eq!((told.digest, told.file_bytes), (digest, read.file_bytes));
}

#[tokio::test]
async fn inspect_says_what_is_wrong_with_a_model() {
    let mut worker = Worker::start(Role::Inspect).await;
    let inspect = |path: std::path::PathBuf| ToWorker::Inspect {
        path,
        drivers: Vec::new(),
        digest: None,
    };
    let notes = pilot().with_file_name("README.md");
    let Some(FromWorker::Error(message)) = worker.ask(inspect(notes)).await else {
        panic!("notes are no model");
    };
    assert!(message.contains("README.md"), "{message}");
    // The worker goes on with the next model.
    assert!(matches!(
        worker.ask(inspect(pilot())).await,
        Some(FromWorker::Facts(_))
    ));
}

#[tokio::test]
async fn a_ping_is_answered_while_idle_and_shutdown_ends() {
    for role in Role::ALL {
        let mut worker = Worker::start(role).await;
        assert_eq!(worker.hello.pid, worker.process.id());
        assert_eq!(worker.ask(ToWorker::Ping(3)).await, Some(FromWorker::Pong(3)));
        assert_eq!(worker.ask(ToWorker::Shutdown).await, None);
        assert!(worker.end().success());
    }
}

#[tokio::test]
async fn a_frame_for_another_role_ends_the_worker() {
    let mut worker = Worker::start(Role::Probe).await;
    assert_eq!(worker.ask(ToWorker::Cancel(1)).await, None);
    assert!(!worker.end().success());
}
