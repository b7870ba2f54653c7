//! What a worker takes is what was planned. Pages of the model's file are the system's cache: they are dropped after the load.

use std::fs;

use mains_contract::Bytes;

use crate::support::{Worker, question, request};

/// What a plan may exceed a worker's memory by, when 2 % of it are less.
const SLACK: Bytes = Bytes::from_mib(16);

#[tokio::test]
async fn what_a_worker_takes_is_its_plan() {
    let (mut worker, plan) = Worker::loaded(2048, 8).await;
    let mut asked = request(question("What is 17 + 25?"));
    asked.n = 8;
    worker.generate(asked).await.unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", worker.process.id())).unwrap();
    let taken = Bytes(kilobytes(&status, "VmRSS") << 10);
    let planned = plan.bytes.total();
    println!(
        "plan {planned}, of which runtime {}; taken {taken}",
        plan.bytes.runtime
    );
    assert!(taken <= planned, "{taken} are taken, {planned} were planned");
    let left = planned.checked_sub(taken).unwrap();
    let bound = SLACK.max(Bytes(planned.0 / 50));
    assert!(left <= bound, "{left} of {planned} are planned and never taken");
}

/// A line of `/proc/PID/status`, in kB (proc_pid_status(5)).
fn kilobytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
