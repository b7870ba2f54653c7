//! Requests that share a worker's connection.

use mains_types::{Choice, Generate, Sampling, TokenChunk};
use mains_wire::frames::{FromWorker, ToWorker};

use super::{Loss, Outgoing, PAUSE_BYTES, Said, WAITING_BYTES, pair};

fn request() -> Generate {
    Generate {
        id: "r".to_owned(),
        model: "m".to_owned(),
        prompts: Vec::new(),
        n: 1,
        max_tokens: None,
        stop: Vec::new(),
        top_logprobs: None,
        echo: false,
        sampling: Sampling::default(),
        keep_alive_s: None,
    }
}

fn tokens(number: u64, text: usize) -> FromWorker {
    FromWorker::Tokens {
        number,
        chunk: TokenChunk {
            choice: Choice(0),
            ids: vec![1],
            text: "x".repeat(text),
            logprobs: Vec::new(),
        },
    }
}

fn cancelled(outgoing: &mut Outgoing) -> Vec<u64> {
    let sent = std::iter::from_fn(|| outgoing.0.try_recv().ok());
    sent.filter_map(|frame| match frame {
        ToWorker::Cancel(number) => Some(number),
        _ => None,
    })
    .collect()
}

#[tokio::test]
async fn a_slow_client_loses_its_request_and_no_other() {
    let (worker, mut outgoing) = pair();
    let (mut slow, mut quick) = (worker.generate(request()), worker.generate(request()));
    for _ in 0..=WAITING_BYTES / 1000 {
        worker.0.hear(tokens(0, 1000)).unwrap();
        worker.0.hear(tokens(1, 1000)).unwrap();
        assert!(matches!(quick.next().await, Said::Tokens(_)));
    }
    assert_eq!(cancelled(&mut outgoing), [0]);
    let mut last = slow.next().await;
    while matches!(last, Said::Tokens(_)) {
        last = slow.next().await;
    }
    assert!(matches!(last, Said::ClientTooSlow));
    worker.0.hear(FromWorker::Done { number: 1 }).unwrap();
    assert!(matches!(quick.next().await, Said::Done));
    drop((slow, quick));
    assert!(cancelled(&mut outgoing).is_empty());
}

#[tokio::test]
async fn a_request_pauses_while_its_client_is_behind() {
    let (worker, mut outgoing) = pair();
    let mut request = worker.generate(request());
    let frames = PAUSE_BYTES / 1000 + 2;
    for _ in 0..frames {
        worker.0.hear(tokens(0, 1000)).unwrap();
    }
    assert!(matches!(outgoing.0.try_recv(), Ok(ToWorker::Generate(0, _))));
    assert!(matches!(outgoing.0.try_recv(), Ok(ToWorker::Pause(0))));
    for _ in 0..frames {
        request.next().await;
    }
    assert!(matches!(outgoing.0.try_recv(), Ok(ToWorker::Resume(0))));
    assert!(outgoing.0.try_recv().is_err());
}

#[tokio::test]
async fn a_dropped_request_is_cancelled_and_what_comes_late_is_dropped() {
    let (worker, mut outgoing) = pair();
    drop(worker.generate(request()));
    assert_eq!(cancelled(&mut outgoing), [0]);
    worker.0.hear(tokens(0, 1)).unwrap();
    worker.0.hear(FromWorker::Done { number: 99 }).unwrap();
}

#[tokio::test]
async fn a_lost_worker_ends_requests_before_and_after() {
    let (worker, _outgoing) = pair();
    let mut before = worker.generate(request());
    worker.lose(Loss::Died("died (signal 9)".to_owned()));
    worker.lose(Loss::ShuttingDown);
    let mut after = worker.generate(request());
    for request in [&mut before, &mut after] {
        let Said::Lost(loss) = request.next().await else {
            panic!("the worker is lost");
        };
        assert_eq!(*loss, Loss::Died("died (signal 9)".to_owned()));
    }
}

#[test]
fn what_a_worker_must_not_say_is_refused() {
    let (worker, _outgoing) = pair();
    assert!(worker.0.hear(FromWorker::Error("no".to_owned())).is_err());
    let inventory = FromWorker::Loaded {
        footprint: mains_contract::Footprint::default(),
    };
    assert!(worker.0.hear(inventory).is_err());
}
