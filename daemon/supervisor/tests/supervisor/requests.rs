//! What a request goes through, with real worker processes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::bench::{self, Bench, all, next, request};
use mains_supervisor::{LatencyCounts, ModelConfig, ModelState};
use mains_types::{Demand, Event, FinishReason, GenerationErrorKind as Kind};

/// An answer that lasts until somebody ends it.
const ENDLESS: &str = "delay_ms=5 context=20000";
const MANY: u32 = 100_000;

#[tokio::test]
async fn a_request_is_answered_and_metered() {
    let bench = Bench::new(&[("m", "")], |_| {});
    let generation = bench.generate("r", "m", 20).await.unwrap();
    let plan = bench.supervisor.plan("m", &Demand::default()).await.unwrap();
    assert_eq!(generation.started.prompt_tokens, 5);
    assert_eq!(generation.started.variant, plan.variant.to_string());
    assert_eq!(all(generation).await, (20, Ok(())));
    let (row, outcome) = bench.settled("r").await;
    assert_eq!((row.covered, outcome.completion_tokens), (20, 20));
    assert_eq!((row.open.prompt_tokens, row.open.most_tokens), (Some(5), 20));
    assert_eq!(row.open.device.as_deref(), Some("cpu"));
    assert_eq!(outcome.finish_reason, Some(FinishReason::Length));
    assert!(outcome.first_token_ms <= outcome.total_ms && outcome.queue_ms <= outcome.total_ms);
    let totals = bench.supervisor.status().totals;
    assert_eq!(totals.requests[&("m".to_owned(), "ok")], 1);
    assert_eq!(totals.tokens["m"].completion, 20);
    assert_eq!(totals.loads["m"], 1);
    let latencies = totals.latencies["m"];
    let of = |counts: LatencyCounts| (counts.count(), counts.sum());
    let (queue, first, whole) = (
        of(latencies.queue),
        of(latencies.first_token),
        of(latencies.whole),
    );
    assert_eq!((queue.0, first.0, whole.0), (1, 1, 1));
    assert!(queue.1 <= first.1 && first.1 <= whole.1, "{latencies:?}");
}

#[tokio::test]
async fn an_unknown_model_is_told_what_there_is() {
    let bench = Bench::new(&[("m", "")], |_| {});
    let error = bench.generate("r", "other", 1).await.unwrap_err();
    assert_eq!(error.kind, Kind::UnknownModel);
    assert!(
        error.message.contains('m') && error.param.as_deref() == Some("model"),
        "{error}"
    );
    // One that is put into the store folder is found without a word to the daemon.
    let store = bench.folder.path().join("state/models");
    std::fs::write(store.join("late.gguf"), "").unwrap();
    let found = async {
        while bench.supervisor.facts("late").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(bench::LONG, found).await.unwrap();
}

#[tokio::test]
async fn a_killed_worker_costs_its_requests_and_nothing_else() {
    let bench = Bench::new(&[("a", ENDLESS), ("b", ENDLESS)], |_| {});
    let mut first = bench.generate("first", "a", MANY).await.unwrap();
    let mut other = bench.generate("other", "b", MANY).await.unwrap();
    assert!(matches!(next(&mut first).await, Some(Event::Tokens(_))));
    let pid = bench.model("a").worker_pid.unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid.try_into().unwrap()),
        nix::sys::signal::SIGKILL,
    )
    .unwrap();
    let (more, error) = all(first).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind, Kind::WorkerLost);
    let expected = format!(
        "the worker of model a died (signal 9) after {} tokens; ask again",
        more + 1
    );
    assert_eq!(error.message, expected);
    let (_, outcome) = bench.settled("first").await;
    assert_eq!(
        (outcome.completion_tokens, outcome.error),
        (more + 1, Some(Kind::WorkerLost))
    );

    assert_eq!(
        all(bench.generate("next", "a", 3).await.unwrap()).await,
        (3, Ok(()))
    );
    let model = bench.model("a");
    assert!(model.worker_pid.is_some_and(|new| new != pid) && model.crashes == 1);
    assert!(matches!(next(&mut other).await, Some(Event::Tokens(_))));
    assert_eq!(bench.model("b").crashes, 0);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request() {
    let bench = Bench::new(&[("m", ENDLESS)], |_| {});
    let mut generation = bench.generate("r", "m", MANY).await.unwrap();
    for _ in 0..3 {
        assert!(matches!(next(&mut generation).await, Some(Event::Tokens(_))));
    }
    drop(generation);
    let (row, outcome) = bench.settled("r").await;
    assert_eq!(outcome.error, Some(Kind::Cancelled));
    // One more may have been in the channel.
    assert!((3..=4).contains(&outcome.completion_tokens), "{outcome:?}");
    assert!(row.covered <= outcome.completion_tokens + 1);
    bench.until_it("m", |model| model.running == 0).await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_stalls_nobody() {
    let bench = Bench::new(&[("m", "context=20000")], |_| {});
    let slow = bench.generate("slow", "m", 30_000).await.unwrap();
    assert_eq!(
        all(bench.generate("quick", "m", 5000).await.unwrap()).await,
        (5000, Ok(()))
    );
    let (tokens, end) = all(slow).await;
    let (_, outcome) = bench.settled("slow").await;
    assert_eq!(outcome.completion_tokens, tokens);
    // The null worker does not pause: then the bound ends the request, with a word of the reason.
    assert!(end.is_ok() && tokens == 30_000 || end.is_err_and(|error| error.message.contains("too slowly")));
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let bench = Bench::new(&[("m", ENDLESS)], |config| {
        config.models[0].demand.parallel = Some(1);
        config.queue_limit = 1;
    });
    let _running = bench.generate("running", "m", MANY).await.unwrap();
    let refused = async {
        bench.until_it("m", |model| model.queued == 1).await;
        bench.generate("refused", "m", 1).await.unwrap_err()
    };
    let refused = tokio::select! {
        _ = bench.generate("waits", "m", 1) => panic!("there is no room"),
        refused = refused => refused,
    };
    assert_eq!(refused.kind, Kind::Overloaded);
    assert!(refused.message.contains("1 requests wait"), "{refused}");
}

#[tokio::test]
async fn the_wait_in_the_queue_is_bounded() {
    let bench = Bench::new(&[("m", ENDLESS)], |config| {
        config.models[0].demand.parallel = Some(1);
        config.queue_timeout = Duration::from_millis(50);
    });
    // A load takes longer than requests may wait here.
    bench.supervisor.load("m").await.unwrap();
    let _running = bench.generate("running", "m", MANY).await.unwrap();
    let waited = bench.generate("waits", "m", 1).await.unwrap_err();
    assert_eq!(waited.kind, Kind::Overloaded);
    assert!(waited.message.contains("waited"), "{waited}");
    assert!(bench.rows.row("waits").is_none());
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_makes_room_in_it() {
    let bench = Bench::new(&[("m", ENDLESS)], |config| {
        config.models[0].demand.parallel = Some(1);
        config.queue_limit = 1;
    });
    let running = bench.generate("running", "m", MANY).await.unwrap();
    let leaves = bench
        .supervisor
        .generate(bench::caller(), request("leaves", "m", 1));
    tokio::select! {
        _ = leaves => panic!("there is no room"),
        _ = bench.until_it("m", |model| model.queued == 1) => {}
    }
    let (answered, ()) = tokio::join!(bench.generate("next", "m", 1), async {
        bench.until_it("m", |model| model.queued == 1).await;
        drop(running);
    });
    assert_eq!(all(answered.unwrap()).await, (1, Ok(())));
}

#[tokio::test]
async fn a_full_ledger_refuses_new_requests_only() {
    let bench = Bench::new(&[("m", "delay_ms=1")], |_| {});
    let running = bench.generate("running", "m", 50).await.unwrap();
    bench.rows.full.store(true, Ordering::Relaxed);
    let error = bench.generate("refused", "m", 1).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unmetered);
    assert_eq!(all(running).await, (50, Ok(())));
    bench.rows.full.store(false, Ordering::Relaxed);
    assert_eq!(
        all(bench.generate("again", "m", 1).await.unwrap()).await,
        (1, Ok(()))
    );
}

#[tokio::test]
async fn many_requests_share_a_worker() {
    let bench = Bench::new(&[("m", "")], |_| {});
    let requests = (0..64).map(|number| {
        let bench = &bench;
        async move {
            all(bench
                .generate(&format!("r{number}"), "m", number + 1)
                .await
                .unwrap())
            .await
        }
    });
    let answers = futures_util::future::join_all(requests).await;
    for (tokens, answer) in (1..).zip(answers) {
        assert_eq!(answer, (tokens, Ok(())));
    }
    assert_eq!(bench.supervisor.status().totals.loads["m"], 1);
}

#[tokio::test]
async fn a_drain_lets_requests_finish_and_cuts_off_what_lasts() {
    let bench = Bench::new(&[("short", "delay_ms=1"), ("long", ENDLESS)], |_| {});
    let short = bench.generate("short", "short", 50).await.unwrap();
    let long = bench.generate("long", "long", MANY).await.unwrap();
    let drain = bench.supervisor.drain(Duration::from_secs(2));
    let (cut_off, short, (_, long)) = tokio::join!(drain, all(short), all(long));
    assert_eq!((cut_off, short), (1, (50, Ok(()))));
    assert_eq!(long.unwrap_err().kind, Kind::ShuttingDown);
    assert_eq!(bench.settled("long").await.1.error, Some(Kind::ShuttingDown));
    assert_eq!(
        bench.generate("late", "short", 1).await.unwrap_err().kind,
        Kind::ShuttingDown
    );
    assert_eq!(bench.model("short").worker_pid, None);
}

#[tokio::test]
async fn a_new_configuration_leaves_running_requests_alone() {
    let bench = Bench::new(&[("stays", "delay_ms=2"), ("goes", "delay_ms=2")], |_| {});
    let stays = bench.generate("stays", "stays", 100).await.unwrap();
    let goes = bench.generate("goes", "goes", 100).await.unwrap();
    let state = bench.folder.path().join("state");
    let mut config = mains_supervisor::SupervisorConfig::new(state);
    let new = bench::model_file(bench.folder.path(), "new", "");
    config.models = vec![
        ModelConfig::new("stays", bench.folder.path().join("stays.null")),
        ModelConfig::new("new", new),
    ];
    let mut twice = config.clone();
    twice.models.push(config.models[0].clone());
    assert!(bench.supervisor.reconfigure(twice).is_err());
    bench.supervisor.reconfigure(config).unwrap();
    assert_eq!(
        bench.generate("late", "goes", 1).await.unwrap_err().kind,
        Kind::UnknownModel
    );
    assert_eq!(
        all(bench.generate("new", "new", 1).await.unwrap()).await,
        (1, Ok(()))
    );
    assert_eq!(all(stays).await, (100, Ok(())));
    assert_eq!(all(goes).await, (100, Ok(())));
    assert_eq!(bench.model("stays").state, ModelState::Ready);
}
