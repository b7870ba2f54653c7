//! What types cost models is measured while nothing else runs, and nothing of it is lost or done twice.

use std::time::Duration;

use mains_store::Store;
use mains_supervisor::{BackgroundConfig, MeasureStep, ModelConfig, SensitivityState, SupervisorConfig};
use mains_types::Digest;

use crate::bench::{self, Bench, LONG, all};

/// Idle time that is enough for these tests.
const AFTER: Duration = Duration::from_millis(20);

fn in_background(config: &mut SupervisorConfig) {
    config.background = Some(BackgroundConfig {
        after: AFTER,
        ..BackgroundConfig::default()
    });
}

fn bench(options: &str) -> Bench {
    Bench::new(&[("m", options)], in_background)
}

/// What a daemon on the same folder is configured by.
fn same(bench: &Bench) -> SupervisorConfig {
    let mut config = SupervisorConfig::new(bench.folder.path().join("state"));
    let path = bench.folder.path().join("m.null");
    config.models.push(ModelConfig::new("m", path));
    in_background(&mut config);
    config
}

async fn until(bench: &Bench, is: impl Fn(&SensitivityState) -> bool) -> SensitivityState {
    bench
        .until_it("m", |model| is(&model.sensitivity))
        .await
        .sensitivity
}

fn measuring(done: u32, of: u32) -> SensitivityState {
    SensitivityState::Measuring { done, of }
}

fn waiting(groups: u32) -> SensitivityState {
    SensitivityState::Waiting { groups, reason: None }
}

/// As long as it takes another daemon to find itself idle and to measure a model: whoever may measure has begun by then.
async fn measured_elsewhere() {
    let other = bench("groups=1");
    until(&other, |state| *state == SensitivityState::Measured).await;
}

async fn digest(bench: &Bench) -> Digest {
    bench.supervisor.facts("m").await.unwrap().digest
}

#[tokio::test]
async fn a_model_is_measured_and_the_next_load_is_planned_by_it() {
    let bench = bench("groups=3");
    assert_eq!(bench.supervisor.facts("m").await.unwrap().sensitivity, None);
    until(&bench, |state| *state == SensitivityState::Measured).await;
    let facts = bench.supervisor.facts("m").await.unwrap();
    assert_eq!(facts.sensitivity.as_ref().unwrap().model, facts.digest);
    let state_dir = bench.folder.path().join("state");
    let importance = std::fs::read(Store::importance(&state_dir, &facts.digest)).unwrap();
    assert_eq!(importance, b"importance");
    assert!(
        !Store::measuring(&state_dir, &facts.digest).exists(),
        "nothing is unfinished"
    );
    assert_eq!(
        bench.supervisor.status().reservations,
        [],
        "its memory is given back"
    );
}

#[tokio::test]
async fn a_request_goes_before_it_and_what_was_measured_stays() {
    let bench = bench("groups=4 measure=hang measure_after=2");
    until(&bench, |state| *state == measuring(2, 4)).await;
    let held = bench.supervisor.status().reservations;
    assert_eq!(held.len(), 1, "its bytes are promised: {held:?}");
    let answer = bench.generate("a", "m", 3).await.unwrap();
    assert_eq!(all(answer).await, (3, Ok(())));
    // The worker that goes on measures the two that are missing, and does not hang before a third.
    until(&bench, |state| *state == SensitivityState::Measured).await;
}

#[tokio::test]
async fn nothing_is_measured_while_a_request_runs() {
    let bench = bench("groups=1 delay_ms=5");
    let generation = bench.generate("a", "m", 1_000_000).await.unwrap();
    measured_elsewhere().await;
    assert_eq!(bench.model("m").sensitivity, SensitivityState::Unknown);
    drop(generation);
    until(&bench, |state| *state == SensitivityState::Measured).await;
}

#[tokio::test]
async fn another_daemon_goes_on_where_it_was() {
    let bench = bench("groups=4 measure=hang measure_after=3");
    until(&bench, |state| *state == measuring(3, 4)).await;
    let config = same(&bench);
    let again = bench.again(config).await;
    until(&again, |state| *state == SensitivityState::Measured).await;
}

#[tokio::test]
async fn what_can_not_be_measured_is_given_up_until_it_changes() {
    let first = bench("measure=error");
    let gave_up = |state: &SensitivityState| matches!(state, SensitivityState::Failed(why) if why.contains("told to refuse"));
    until(&first, gave_up).await;
    let path = Store::measuring(&first.folder.path().join("state"), &digest(&first).await);
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    let config = same(&first);
    let again = first.again(config).await;
    until(&again, gave_up).await;
    measured_elsewhere().await;
    let later = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(later, written, "it is not tried again");
    bench::model_file(again.folder.path(), "m", "groups=2");
    let config = same(&again);
    let again = again.again(config).await;
    until(&again, |state| *state == SensitivityState::Measured).await;
}

#[tokio::test]
async fn a_worker_that_dies_costs_one_group() {
    let bench = bench("groups=4 measure=die measure_after=2");
    let rests = |state: &SensitivityState| match state {
        SensitivityState::Waiting { groups, reason } => {
            *groups == 2 && reason.as_ref().is_some_and(|reason| reason.contains("signal 6"))
        }
        _ => false,
    };
    until(&bench, rests).await;
    let config = same(&bench);
    let again = bench.again(config).await;
    until(&again, |state| *state == SensitivityState::Measured).await;
}

#[tokio::test]
async fn it_takes_no_memory_that_is_not_there() {
    // Of 1024 MiB 256 stay with the host.
    let bench = bench("weights_mib=500");
    let waits = |state: &SensitivityState| matches!(state, SensitivityState::Waiting { reason: Some(why), .. } if why.contains("memory"));
    until(&bench, waits).await;
    assert_eq!(bench.supervisor.status().reservations, []);
}

#[tokio::test]
async fn bandwidth_is_measured_before_it() {
    let bench = bench("groups=4 measure=hang measure_after=1");
    until(&bench, |state| *state == measuring(1, 4)).await;
    let mut steps = bench.supervisor.measure(None).await.unwrap();
    let last = async {
        loop {
            match steps.recv().await.expect("it is not over") {
                MeasureStep::Progress { .. } => {}
                last => return last,
            }
        }
    };
    let last = tokio::time::timeout(LONG, last).await.expect("it ends in time");
    assert!(matches!(last, MeasureStep::Measured { .. }), "{last:?}");
}

#[tokio::test]
async fn it_can_be_forbidden_and_allowed_again() {
    let bench = Bench::new(&[("m", "groups=2 measure=hang measure_after=1")], |_| {});
    measured_elsewhere().await;
    assert_eq!(bench.model("m").sensitivity, SensitivityState::Unknown);
    let mut config = same(&bench);
    bench.supervisor.reconfigure(config.clone()).unwrap();
    until(&bench, |state| *state == measuring(1, 2)).await;
    config.background = None;
    bench.supervisor.reconfigure(config).unwrap();
    until(&bench, |state| *state == waiting(1)).await;
    assert_eq!(bench.supervisor.status().reservations, []);
}
