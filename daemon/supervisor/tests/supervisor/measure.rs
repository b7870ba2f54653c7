//! Devices are measured when nothing works on them, and what was found is kept.

use mains_contract::Precision;
use mains_supervisor::{MeasureStep, ModelState, SupervisorError};
use mains_types::Demand;
use tokio::sync::mpsc;

use crate::bench::{Bench, LONG, all};

/// Threads with which the null worker measures for ever.
const ENDLESS: u32 = 13;

async fn steps(bench: &Bench) -> mpsc::Receiver<MeasureStep> {
    bench.supervisor.measure(None).await.unwrap()
}

async fn next(steps: &mut mpsc::Receiver<MeasureStep>) -> MeasureStep {
    let step = tokio::time::timeout(LONG, steps.recv()).await;
    step.expect("a step comes in time").expect("it is not over")
}

/// The last step, which tells how it ended.
async fn end(mut steps: mpsc::Receiver<MeasureStep>) -> Result<f64, String> {
    loop {
        match next(&mut steps).await {
            MeasureStep::Progress { .. } => {}
            MeasureStep::Measured { measured, .. } => return Ok(measured.read_bytes_per_s),
            MeasureStep::Failed { reason, .. } => return Err(reason),
        }
    }
}

#[tokio::test]
async fn figures_are_kept_and_plans_predict_by_them() {
    let bench = Bench::new(&[("m", "")], |_| {});
    let before = bench.supervisor.plan("m", &Demand::default()).await.unwrap();
    assert_eq!(before.predicted, None);
    let mut going = steps(&bench).await;
    let MeasureStep::Progress { done: 1, of: 2, .. } = next(&mut going).await else {
        panic!("progress is told");
    };
    assert_eq!(end(going).await, Ok(1e9));
    let inventory = bench.supervisor.inventory(true).await.unwrap();
    let measured = inventory.devices[0].measured.clone().unwrap();
    assert_eq!(measured.operations_per_s[&Precision::F32], 1e11);
    let after = bench.supervisor.plan("m", &Demand::default()).await.unwrap();
    // A token reads half of the state of 2,048 positions, and the null model multiplies by no weight.
    let predicted = after.predicted.unwrap();
    assert!(
        (predicted.decode_tokens_per_s - 1e9 / (1024.0 * 1024.0)).abs() < 1e-6,
        "{predicted:?}"
    );
    assert_eq!(predicted.prefill_tokens_per_s, None);
    assert_eq!(
        after.bytes, before.bytes,
        "what is predicted changes nothing that is planned"
    );
    let elsewhere = bench
        .supervisor
        .plan_elsewhere("m", &Demand::default(), &inventory)
        .await;
    assert_eq!(elsewhere.unwrap(), after, "an inventory is all that a plan needs");
}

#[tokio::test]
async fn a_model_that_works_is_not_disturbed() {
    let bench = Bench::new(&[("m", "delay_ms=5")], |_| {});
    let generation = bench.generate("a", "m", 1000).await.unwrap();
    let refused = end(steps(&bench).await).await.unwrap_err();
    assert!(refused.contains("model m works on it"), "{refused}");
    drop(generation);
}

#[tokio::test]
async fn an_idle_model_may_stay() {
    let bench = Bench::new(&[("m", "")], |_| {});
    bench.supervisor.load("m").await.unwrap();
    let loaded = async || bench.supervisor.plan("m", &Demand::default()).await.unwrap();
    assert_eq!(loaded().await.predicted, None);
    assert_eq!(end(steps(&bench).await).await, Ok(1e9));
    assert_eq!(bench.model("m").state, ModelState::Ready);
    assert!(loaded().await.predicted.is_some());
}

#[tokio::test]
async fn a_request_ends_a_measurement() {
    let bench = Bench::new(&[("m", "")], |config| config.threads = Some(ENDLESS));
    let mut going = steps(&bench).await;
    assert!(matches!(next(&mut going).await, MeasureStep::Progress { .. }));
    let second = end(steps(&bench).await).await.unwrap_err();
    assert!(second.contains("another measurement"), "{second}");
    let answer = all(bench.generate("a", "m", 3).await.unwrap()).await;
    assert_eq!(answer, (3, Ok(())));
    let ended = end(going).await.unwrap_err();
    assert!(ended.contains("a model is wanted"), "{ended}");
    let inventory = bench.supervisor.inventory(true).await.unwrap();
    assert_eq!(inventory.devices[0].measured, None);
}

#[tokio::test]
async fn whoever_asked_and_left_ends_it() {
    let bench = Bench::new(&[], |config| config.threads = Some(ENDLESS));
    let mut going = steps(&bench).await;
    assert!(matches!(next(&mut going).await, MeasureStep::Progress { .. }));
    drop(going);
    // Another one gets its turn once the first has gone.
    let begins = async {
        loop {
            let mut again = steps(&bench).await;
            if matches!(next(&mut again).await, MeasureStep::Progress { .. }) {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, begins)
        .await
        .expect("the turn is free again");
}

#[tokio::test]
async fn what_can_not_be_measured_is_told_why() {
    let bench = Bench::new(&[], |_| {});
    let refused = bench.supervisor.measure(Some("gpu:9")).await.unwrap_err();
    assert!(
        matches!(refused, SupervisorError::NotMeasured { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("no such device"), "{refused}");
}
