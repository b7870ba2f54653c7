//! The lives of workers: loads, crashes, hangs, memory.

use std::time::Duration;

use crate::bench::{self, Bench, all, next};
use mains_contract::Bytes;
use mains_supervisor::{ModelState, SupervisorError};
use mains_types::{Demand, Event, GenerationErrorKind as Kind};

#[tokio::test]
async fn a_crash_loop_backs_off_and_is_told() {
    let bench = Bench::new(&[("m", "load=die")], |_| {});
    let error = bench.generate("r", "m", 1).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(
        error.message.contains("died (signal 6)") && error.message.contains("3 times in a row"),
        "{error}"
    );
    let model = bench.model("m");
    assert_eq!(
        (model.state, model.crashes, model.crashes_in_a_row),
        (ModelState::Backoff, 3, 3)
    );
    assert!(model.backoff.is_some_and(|wait| wait <= Duration::from_secs(2)));
    // While it waits, requests are refused at once instead of kept.
    assert_eq!(
        bench.generate("r", "m", 1).await.unwrap_err().kind,
        Kind::Unavailable
    );
    // Mended, and asked for: it comes up without waiting.
    bench::model_file(bench.folder.path(), "m", "load=ok");
    bench.supervisor.load("m").await.unwrap();
    assert_eq!(
        all(bench.generate("again", "m", 2).await.unwrap()).await,
        (2, Ok(()))
    );
}

#[tokio::test]
async fn a_hung_worker_is_killed_and_replaced() {
    let bench = Bench::new(&[("m", "hang_after=2 delay_ms=20")], |config| {
        config.patience = Duration::from_millis(400);
    });
    let (tokens, end) = all(bench.generate("r", "m", 5).await.unwrap()).await;
    let error = end.unwrap_err();
    assert_eq!((tokens, error.kind), (2, Kind::WorkerLost));
    assert!(error.message.contains("did not answer"), "{error}");
    assert_eq!(
        all(bench.generate("next", "m", 2).await.unwrap()).await,
        (2, Ok(()))
    );
}

#[tokio::test]
async fn a_load_that_hangs_is_given_up() {
    let bench = Bench::new(&[("m", "load=hang")], |config| {
        config.load_timeout = Duration::from_millis(200);
    });
    let error = bench.generate("r", "m", 1).await.unwrap_err();
    assert!(error.message.contains("did not answer"), "{error}");
}

#[tokio::test]
async fn what_can_not_be_loaded_fails_once_until_it_changes() {
    let bench = Bench::new(&[("m", "load=error")], |_| {});
    let error = bench.generate("r", "m", 1).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(error.message.contains("told to refuse"), "{error}");
    let model = bench.until("m", ModelState::Failed).await;
    assert_eq!(model.crashes, 0);
    bench.generate("r", "m", 1).await.unwrap_err();
    assert_eq!(bench.supervisor.status().totals.load_failures["m"], 1);
    std::fs::remove_file(bench.folder.path().join("m.null")).unwrap();
    bench::model_file(bench.folder.path(), "m", "");
    assert_eq!(
        all(bench.generate("mended", "m", 1).await.unwrap()).await,
        (1, Ok(()))
    );
}

#[tokio::test]
async fn an_idle_model_is_unloaded_and_its_memory_given_back() {
    let bench = Bench::new(&[("m", ""), ("pinned", "")], |config| {
        config.keep_alive = Some(Duration::from_millis(50));
        config.models[1].pin = true;
        config.models[1].preload = true;
    });
    bench.until("pinned", ModelState::Ready).await;
    assert_eq!(all(bench.generate("r", "m", 1).await.unwrap()).await, (1, Ok(())));
    bench.until("m", ModelState::Stopped).await;
    let held: Vec<_> = bench
        .supervisor
        .status()
        .reservations
        .into_iter()
        .map(|held| held.model)
        .collect();
    assert_eq!(held, ["pinned"]);
    assert_eq!(bench.model("pinned").state, ModelState::Ready);
}

#[tokio::test]
async fn a_model_that_stays_for_no_time_still_answers() {
    let bench = Bench::new(&[("m", "")], |config| config.keep_alive = Some(Duration::ZERO));
    assert_eq!(all(bench.generate("r", "m", 3).await.unwrap()).await, (3, Ok(())));
    bench.until("m", ModelState::Stopped).await;
    assert_eq!(bench.supervisor.status().totals.loads["m"], 1);
}

#[tokio::test]
async fn two_models_never_get_the_same_bytes() {
    // Of 1024 MiB 256 stay with the host: each fits alone, both together do not.
    let weights = "weights_mib=500 delay_ms=5 context=1000";
    let bench = Bench::new(&[("a", weights), ("b", weights)], |_| {});
    let (a, b) = tokio::join!(
        bench.generate("a", "a", 1_000_000),
        bench.generate("b", "b", 1_000_000)
    );
    let (mut winner, loser) = match (a, b) {
        (Ok(a), Err(b)) => (a, b),
        (Err(a), Ok(b)) => (b, a),
        both => panic!("exactly one may win: {both:?}"),
    };
    assert_eq!(loser.kind, Kind::Unavailable);
    assert!(loser.message.contains("holds"), "{loser}");
    assert!(matches!(next(&mut winner).await, Some(Event::Tokens(_))));
    let held: Bytes = bench
        .supervisor
        .status()
        .reservations
        .into_iter()
        .map(|held| held.bytes)
        .sum();
    assert!(held <= Bytes::from_mib(768), "{held}");
}

#[tokio::test]
async fn an_idle_model_makes_room_for_another() {
    let weights = "weights_mib=500 context=1000";
    let bench = Bench::new(&[("a", weights), ("b", weights)], |_| {});
    assert_eq!(all(bench.generate("a", "a", 1).await.unwrap()).await, (1, Ok(())));
    assert_eq!(all(bench.generate("b", "b", 1).await.unwrap()).await, (1, Ok(())));
    assert_eq!(bench.model("a").state, ModelState::Stopped);
    assert_eq!(bench.model("b").state, ModelState::Ready);
    assert_eq!(
        all(bench.generate("again", "a", 1).await.unwrap()).await,
        (1, Ok(()))
    );
}

#[tokio::test]
async fn load_and_unload_by_hand() {
    let bench = Bench::new(&[("m", ""), ("huge", "weights_mib=5000")], |_| {});
    bench.supervisor.load("m").await.unwrap();
    assert_eq!(bench.model("m").state, ModelState::Ready);
    bench.supervisor.load("m").await.unwrap();
    bench.supervisor.unload("m").await.unwrap();
    bench.until("m", ModelState::Stopped).await;
    let refused = bench.supervisor.load("huge").await.unwrap_err();
    assert!(refused.to_string().contains("missing"), "{refused}");
    assert_eq!(bench.model("huge").state, ModelState::Stopped);
    let plan = bench
        .supervisor
        .plan("huge", &Demand::default())
        .await
        .unwrap_err();
    assert!(matches!(plan, SupervisorError::NoPlan { .. }), "{plan}");
    assert!(bench.supervisor.load("none").await.is_err());
}

#[tokio::test]
async fn devices_are_probed_by_a_worker() {
    let bench = Bench::new(&[], |_| {});
    assert_eq!(bench.supervisor.status().probed_at, None);
    let inventory = bench.supervisor.inventory(false).await.unwrap();
    assert_eq!(inventory.devices[0].id, "cpu");
    assert_eq!(bench.supervisor.status().probed_at, Some(inventory.probed_at));
    assert_eq!(
        bench.supervisor.inventory(false).await.unwrap().probed_at,
        inventory.probed_at
    );
    assert!(bench.supervisor.inventory(true).await.unwrap().probed_at > inventory.probed_at);
}
