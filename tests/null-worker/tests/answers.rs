//! The null worker answers as a worker does, over a socket pair as its descriptor 3.

#![expect(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::process::{Child, Command, Stdio};

use mains_types::{Choice, FinishReason, Generate, Prompt, Sampling, TokenChunk};
use mains_wire::frames::{DaemonHello, FrameReader, FrameWriter, FromWorker, Role, ToWorker, WorkerHello};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

struct Worker {
    process: Child,
    reader: FrameReader<FromWorker, OwnedReadHalf>,
    writer: FrameWriter<ToWorker, OwnedWriteHalf>,
}

/// Starts the null worker. The shell moves its standard input, the socket, to descriptor 3.
fn start(role: Role, option: (&str, &str)) -> Worker {
    let (ours, theirs) = StdStream::pair().unwrap();
    let process = Command::new("sh")
        .args(["-c", r#"exec "$0" "$1" 3<&0 </dev/null"#])
        .arg(env!("CARGO_BIN_EXE_mains-null-worker"))
        .arg(role.name())
        .env(option.0, option.1)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    ours.set_nonblocking(true).unwrap();
    let (reading, writing) = UnixStream::from_std(ours).unwrap().into_split();
    Worker {
        process,
        reader: FrameReader::new(reading),
        writer: FrameWriter::new(writing),
    }
}

impl Worker {
    async fn ask(&mut self, frame: ToWorker) -> Option<FromWorker> {
        self.writer.send(frame).await.unwrap();
        self.next().await
    }

    async fn next(&mut self) -> Option<FromWorker> {
        self.reader.next().await.unwrap()
    }
}

fn request(max_tokens: u32) -> Generate {
    Generate {
        id: "cmpl-1".to_owned(),
        model: "null".to_owned(),
        prompts: vec![Prompt::Text("sixteen letters.".to_owned())],
        n: 1,
        max_tokens: Some(max_tokens),
        stop: Vec::new(),
        top_logprobs: None,
        echo: false,
        sampling: Sampling::default(),
        keep_alive_s: None,
    }
}

#[tokio::test]
async fn generates_fixed_tokens() {
    let mut worker = start(Role::Run, ("MAINS_NULL_DELAY_MS", "0"));
    let Some(FromWorker::Hello(hello)) = worker.ask(ToWorker::Hello(DaemonHello::new(Role::Run))).await
    else {
        panic!("the first frame is a hello");
    };
    assert_eq!(hello.pid, worker.process.id());
    assert_eq!(
        WorkerHello {
            pid: std::process::id(),
            ..hello
        },
        WorkerHello::new(Role::Run, Vec::new())
    );

    let started = worker.ask(ToWorker::Generate(7, request(2))).await.unwrap();
    assert!(
        matches!(started, FromWorker::Started { number: 7, started } if started.prompt_tokens == 4),
        "4 bytes a token"
    );
    for id in [0, 1] {
        let chunk = TokenChunk {
            choice: Choice(0),
            ids: vec![id],
            text: "null ".to_owned(),
            logprobs: Vec::new(),
        };
        assert_eq!(worker.next().await, Some(FromWorker::Tokens { number: 7, chunk }));
    }
    let finished = FromWorker::Finished {
        number: 7,
        choice: Choice(0),
        reason: FinishReason::Length,
    };
    assert_eq!(worker.next().await, Some(finished));
    assert_eq!(worker.next().await, Some(FromWorker::Done { number: 7 }));
    assert_eq!(worker.ask(ToWorker::Ping(9)).await, Some(FromWorker::Pong(9)));
    assert_eq!(worker.ask(ToWorker::Shutdown).await, None);
    assert!(worker.process.wait().unwrap().success());
}

#[tokio::test]
async fn dies_when_told() {
    let mut worker = start(Role::Run, ("MAINS_NULL_DIE_AFTER", "1"));
    assert!(matches!(worker.next().await, Some(FromWorker::Hello(_))));
    let started = worker.ask(ToWorker::Generate(1, request(5))).await;
    assert!(matches!(started, Some(FromWorker::Started { .. })));
    while worker.next().await.is_some() {}
    assert!(!worker.process.wait().unwrap().success());
}
