//! What a worker takes is within its plan.

use std::fs;

use crate::support::{Worker, question, request};

#[tokio::test]
async fn the_peak_is_within_the_plan() {
    let (mut worker, plan) = Worker::loaded(2048, 8).await;
    let mut asked = request(question("What is 17 + 25?"));
    asked.n = 8;
    worker.generate(asked).await.unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", worker.process.id())).unwrap();
    let taken = kilobytes(&status, "RssAnon") << 10;
    let arenas = plan.bytes.total().0 - plan.bytes.runtime.0;
    println!(
        "plan {} of which runtime {}; anonymous memory {taken} bytes, beside arenas {}",
        plan.bytes.total(),
        plan.bytes.runtime,
        taken.saturating_sub(arenas)
    );
    assert!(taken <= plan.bytes.total().0, "{taken} of {}", plan.bytes.total());
}

/// A line of `/proc/PID/status`, in kB (proc_pid_status(5)).
fn kilobytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
