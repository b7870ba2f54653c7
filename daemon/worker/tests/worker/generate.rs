//! The role `run` on the pilot, which was trained to add: greedy answers are known.

use mains_types::{Choice, FinishReason, GenerationErrorKind, Prompt};
use mains_wire::frames::{FromWorker, ToWorker};

use crate::support::{Worker, endless, pilot, question, request};

const QUESTION: &str = "What is 17 + 25?";
const ANSWER: &str = "17 + 25 = 42";

#[tokio::test]
async fn answers_a_question_and_counts_every_token() {
    let (mut worker, plan) = Worker::loaded(512, 2).await;
    let answer = worker.generate(request(question(QUESTION))).await.unwrap();
    assert_eq!(answer.text(0), ANSWER);
    assert_eq!(answer.ends, [(Choice(0), FinishReason::Stop)]);
    let started = answer.started.as_ref().unwrap();
    assert_eq!(started.variant, plan.variant.to_string());
    assert!(started.prompt_tokens > 5);
    // The token that ends the answer was generated and shows nothing.
    assert_eq!(answer.chunks.last().unwrap().ids.len(), 1);
    assert_eq!(answer.chunks.last().unwrap().text, "");
}

#[tokio::test]
async fn stops_before_a_stop_string_and_counts_its_tokens() {
    let (mut worker, _) = Worker::loaded(512, 2).await;
    let whole = worker.generate(request(question(QUESTION))).await.unwrap();
    let mut asked = request(question(QUESTION));
    asked.stop = vec!["= 4".to_owned()];
    let answer = worker.generate(asked).await.unwrap();
    assert_eq!(answer.text(0), "17 + 25 ");
    assert_eq!(answer.ends, [(Choice(0), FinishReason::Stop)]);
    let ids = answer.ids(0);
    assert_eq!(ids, whole.ids(0)[..ids.len()]);
    assert!(ids.len() < whole.ids(0).len());

    // What was held back for a stop string that never came is given at the end.
    let mut asked = request(question(QUESTION));
    asked.stop = vec!["42 and more".to_owned()];
    assert_eq!(worker.generate(asked).await.unwrap().text(0), ANSWER);
}

#[tokio::test]
async fn choices_of_several_prompts_are_numbered_prompt_by_prompt() {
    let (mut worker, _) = Worker::loaded(512, 4).await;
    let mut asked = request(question(QUESTION));
    asked.prompts.push(question("What is 1 + 1?"));
    asked.n = 2;
    let answer = worker.generate(asked).await.unwrap();
    assert_eq!(answer.ends.len(), 4);
    assert_eq!([answer.text(0), answer.text(1)], [ANSWER, ANSWER]);
    assert_eq!(answer.text(2), answer.text(3));
    assert_ne!(answer.text(2), ANSWER);
}

#[tokio::test]
async fn gives_log_probabilities_and_the_prompt_back() {
    let (mut worker, _) = Worker::loaded(512, 2).await;
    let mut asked = request(question(QUESTION));
    asked.top_logprobs = Some(3);
    let answer = worker.generate(asked).await.unwrap();
    for chunk in &answer.chunks {
        let [logprob] = &chunk.logprobs[..] else {
            panic!("one entry a token");
        };
        assert_eq!(vec![logprob.id], chunk.ids);
        assert_eq!(logprob.top.len(), 3);
        // Greedy: the token is the most likely one.
        assert_eq!(logprob.top[0].0, logprob.id);
        assert!(logprob.logprob <= 0.0);
    }

    let mut asked = endless(&pilot(), Prompt::Text("one two".to_owned()), 2);
    asked.echo = true;
    let answer = worker.generate(asked.clone()).await.unwrap();
    assert_eq!(answer.chunks[0].text, "one two");
    assert!(answer.chunks[0].ids.is_empty());
    assert_eq!(answer.ids(0).len(), 2);
    assert_eq!(answer.ends, [(Choice(0), FinishReason::Length)]);

    asked.top_logprobs = Some(0);
    let error = worker.generate(asked).await.unwrap_err();
    assert_eq!(error.param.as_deref(), Some("echo"));
}

#[tokio::test]
async fn refuses_what_is_beyond_the_context_or_the_vocabulary() {
    let (mut worker, _) = Worker::loaded(64, 1).await;
    let long = request(Prompt::Ids(vec![5; 64]));
    let error = worker.generate(long).await.unwrap_err();
    assert_eq!(error.kind, GenerationErrorKind::ContextLength);
    assert!(error.message.contains("64 tokens, the prompt has 64"), "{error}");

    let mut greedy = request(Prompt::Ids(vec![5; 10]));
    greedy.max_tokens = Some(55);
    let error = worker.generate(greedy.clone()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.param.as_deref()),
        (GenerationErrorKind::ContextLength, Some("max_tokens"))
    );
    assert!(error.message.contains("at most 54"), "{error}");

    // Without max_tokens an answer may take the rest of the context.
    greedy.max_tokens = None;
    assert!(worker.generate(greedy).await.is_ok());

    let error = worker
        .generate(request(Prompt::Ids(vec![u32::MAX])))
        .await
        .unwrap_err();
    assert_eq!(error.kind, GenerationErrorKind::Invalid);
    assert!(error.message.contains("vocabulary"), "{error}");

    let error = worker
        .generate(request(Prompt::Ids(Vec::new())))
        .await
        .unwrap_err();
    assert_eq!(error.param.as_deref(), Some("prompt"));

    // After all refusals it still answers.
    assert!(worker.generate(request(Prompt::Ids(vec![5]))).await.is_ok());
}

#[tokio::test]
async fn requests_join_pause_and_leave_between_steps() {
    let (mut worker, _) = Worker::loaded(512, 4).await;
    let long = endless(&pilot(), Prompt::Text("a".to_owned()), 400);
    worker.say(ToWorker::Generate(1, long)).await;
    worker.say(ToWorker::Pause(1)).await;
    // What comes after the pong comes after the pause.
    worker.say(ToWorker::Ping(7)).await;
    while worker.next().await.unwrap() != FromWorker::Pong(7) {}
    worker
        .say(ToWorker::Generate(2, request(question(QUESTION))))
        .await;
    let mut seen = Vec::new();
    loop {
        match worker.next().await.unwrap() {
            FromWorker::Tokens { number, .. } => seen.push(number),
            FromWorker::Done { number } => {
                assert_eq!(number, 2, "the paused request does not get on");
                break;
            }
            FromWorker::Started { .. } | FromWorker::Finished { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(!seen.contains(&1), "a paused request is in no step");

    worker.say(ToWorker::Resume(1)).await;
    while !matches!(worker.next().await.unwrap(), FromWorker::Tokens { number: 1, .. }) {}
    worker.say(ToWorker::Cancel(1)).await;
    // The pong comes after everything that was said before the cancellation was seen.
    worker.say(ToWorker::Ping(8)).await;
    while worker.next().await.unwrap() != FromWorker::Pong(8) {}
    worker
        .say(ToWorker::Generate(3, request(question(QUESTION))))
        .await;
    match worker.next().await.unwrap() {
        FromWorker::Started { number: 3, .. } => {}
        other => panic!("something is still said about a cancelled request: {other:?}"),
    }
}

#[tokio::test]
async fn the_end_of_the_connection_ends_a_worker_that_computes() {
    let (mut worker, _) = Worker::loaded(2048, 1).await;
    let long = endless(&pilot(), Prompt::Text("a".to_owned()), 2000);
    assert!(matches!(
        worker.ask(ToWorker::Generate(1, long)).await,
        Some(FromWorker::Started { .. })
    ));
    // It ends, although two thousand tokens are still to come, and did not fail.
    assert!(worker.end().success());
}

#[tokio::test]
async fn a_load_that_is_not_as_planned_is_refused() {
    let (_, mut plan) = Worker::loaded(64, 1).await;
    plan.bytes.scratch.0 += 1;
    let mut worker = Worker::start(mains_wire::frames::Role::Run).await;
    let load = ToWorker::Load {
        path: pilot(),
        plan,
        packed: None,
    };
    let Some(FromWorker::Error(message)) = worker.ask(load).await else {
        panic!("the plan is wrong by a byte");
    };
    assert!(message.contains("plan"), "{message}");
    assert_eq!(worker.next().await, None, "nothing is left to do");
}
