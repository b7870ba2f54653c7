//! A model whose weights were packed before: the same plan, the same answers, and nothing taken twice.

use std::path::Path;
use std::process::Command;

use mains_wire::frames::{FromWorker, Role, ToWorker};

use crate::support::{PROGRAM, Worker, load, pilot, plan, question, request};

fn pack(to: &Path, variant: &str) {
    let output = Command::new(PROGRAM)
        .args(["pack", "--variant", variant, "--from"])
        .arg(pilot())
        .arg("--to")
        .arg(to)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn packed_weights_are_mapped_and_give_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(512, 1).await;
    let file = folder.path().join("packed");
    pack(&file, &plan.weights.to_string());
    let mut worker = Worker::start_reading(Role::Run, &file).await;
    let ToWorker::Load { path, plan, .. } = load(&plan) else {
        panic!("it is a load");
    };
    let order = ToWorker::Load {
        path,
        plan: plan.clone(),
        packed: Some(file.clone()),
    };
    let loaded = worker.ask(order).await;
    let Some(FromWorker::Loaded { footprint }) = loaded else {
        panic!("no load: {loaded:?}");
    };
    assert_eq!(footprint.total() + plan.bytes.runtime, plan.bytes.total());
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", worker.process.id())).unwrap();
    assert!(maps.contains(file.to_str().unwrap()), "the file is mapped");
    let answer = worker
        .generate(request(question("What is 17 + 25?")))
        .await
        .unwrap();
    assert_eq!(answer.text(0), "17 + 25 = 42");
}

#[tokio::test]
async fn weights_of_another_plan_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(512, 1).await;
    let file = folder.path().join("packed");
    pack(&file, "another");
    let mut worker = Worker::start_reading(Role::Run, &file).await;
    let ToWorker::Load { path, plan, .. } = load(&plan) else {
        panic!("it is a load");
    };
    let order = ToWorker::Load {
        path,
        plan,
        packed: Some(file),
    };
    let Some(FromWorker::Error(message)) = worker.ask(order).await else {
        panic!("the file is of another plan");
    };
    assert!(message.contains("another plan"), "{message}");
}
