//! Starting workers and speaking with them.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::SystemTime;

use mains_contract::{Inventory, ProbeReport};
use mains_formats::{Array, Gguf, Value};
use mains_types::{
    ChatEnd, ChatPrompt, Choice, Demand, FinishReason, Generate, GenerationError, LogitBias, ModelFacts,
    Plan, Prompt, Sampling, Started, TokenChunk,
};
use mains_wire::frames::{DaemonHello, FrameReader, FrameWriter, FromWorker, Role, ToWorker, WorkerHello};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_mains-worker");

/// A trained model of 6 million parameters.
pub(crate) fn pilot() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/pilot/pilot.gguf")
}

/// A running worker. Dropping it closes the connection, which ends the process.
pub(crate) struct Worker {
    pub(crate) process: Child,
    pub(crate) hello: WorkerHello,
    reader: FrameReader<FromWorker, OwnedReadHalf>,
    writer: FrameWriter<ToWorker, OwnedWriteHalf>,
}

impl Worker {
    /// Starts a worker of `role` that may read the pilot, and greets it. The shell moves its standard input, the socket,
    /// to descriptor 3.
    pub(crate) async fn start(role: Role) -> Self {
        Self::start_reading(role, &pilot()).await
    }

    /// As [`Worker::start`], with `path` to read beside the pilot.
    pub(crate) async fn start_reading(role: Role, path: &Path) -> Self {
        let (ours, theirs) = StdStream::pair().unwrap();
        let process = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 </dev/null"#, PROGRAM, role.command()])
            .args(["--wall", "fork", "--allow-read"])
            .arg(pilot().parent().unwrap())
            .arg("--allow-read")
            .arg(path)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .unwrap();
        ours.set_nonblocking(true).unwrap();
        let (reading, writing) = UnixStream::from_std(ours).unwrap().into_split();
        let mut reader = FrameReader::new(reading);
        let mut writer = FrameWriter::new(writing);
        writer
            .send(ToWorker::Hello(DaemonHello::new(role)))
            .await
            .unwrap();
        let Some(FromWorker::Hello(hello)) = reader.next().await.unwrap() else {
            panic!("the first frame is a hello");
        };
        hello.check(role).unwrap();
        Self {
            process,
            hello,
            reader,
            writer,
        }
    }

    /// A worker with the pilot loaded, for `parallel` sequences of `context` positions.
    pub(crate) async fn loaded(context: u32, parallel: u32) -> (Self, Plan) {
        let plan = plan(context, parallel).await;
        (Self::loaded_as(&plan).await, plan)
    }

    /// A worker with the pilot loaded as `plan` says.
    pub(crate) async fn loaded_as(plan: &Plan) -> Self {
        let mut worker = Self::start(Role::Run).await;
        match worker.ask(load(plan)).await {
            Some(FromWorker::Loaded { footprint }) => {
                assert_eq!(
                    footprint.total() + plan.bytes.runtime,
                    plan.bytes.total(),
                    "a plan is exact"
                );
            }
            other => panic!("no load: {other:?}"),
        }
        worker
    }

    pub(crate) async fn say(&mut self, frame: ToWorker) {
        self.writer.send(frame).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Option<FromWorker> {
        self.reader.next().await.unwrap()
    }

    pub(crate) async fn ask(&mut self, frame: ToWorker) -> Option<FromWorker> {
        self.say(frame).await;
        self.next().await
    }

    /// Sends one request and gathers all that comes back.
    pub(crate) async fn generate(&mut self, request: Generate) -> Result<Answer, GenerationError> {
        self.say(ToWorker::Generate(1, request)).await;
        let mut answer = Answer::default();
        loop {
            match self.next().await.unwrap() {
                FromWorker::Started { started, .. } => answer.started = Some(started),
                FromWorker::Tokens { chunk, .. } => answer.chunks.push(chunk),
                FromWorker::Finished { choice, reason, .. } => answer.ends.push((choice, reason)),
                FromWorker::Done { .. } => return Ok(answer),
                FromWorker::Failed { error, .. } => return Err(error),
                other => panic!("not a word about a request: {other:?}"),
            }
        }
    }

    /// Closes the connection and waits for the process.
    pub(crate) fn end(self) -> ExitStatus {
        let Self {
            mut process,
            reader,
            writer,
            ..
        } = self;
        drop((reader, writer));
        process.wait().unwrap()
    }
}

/// All that came back for a request.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) started: Option<Started>,
    pub(crate) chunks: Vec<TokenChunk>,
    pub(crate) ends: Vec<(Choice, FinishReason)>,
}

impl Answer {
    pub(crate) fn text(&self, choice: u32) -> String {
        self.of(choice).map(|chunk| chunk.text.as_str()).collect()
    }

    pub(crate) fn ids(&self, choice: u32) -> Vec<u32> {
        self.of(choice).flat_map(|chunk| chunk.ids.clone()).collect()
    }

    fn of(&self, choice: u32) -> impl Iterator<Item = &TokenChunk> {
        self.chunks
            .iter()
            .filter(move |chunk| chunk.choice == Choice(choice))
    }
}

/// The pilot's plan for `parallel` sequences of `context` positions.
pub(crate) async fn plan(context: u32, parallel: u32) -> Plan {
    let demand = Demand {
        context: Some(context),
        parallel: Some(parallel),
        ..Demand::default()
    };
    mains_planner::plan(&inventory().await, &facts().await, "pilot", &demand).unwrap()
}

/// Loads the pilot as `plan` says.
pub(crate) fn load(plan: &Plan) -> ToWorker {
    ToWorker::Load {
        path: pilot(),
        plan: plan.clone(),
        packed: None,
    }
}

/// The processors alone, which every machine has.
pub(crate) async fn inventory() -> Inventory {
    let answer = mains_inventory::Answer {
        source: "cpu",
        report: Ok(report("cpu").await.unwrap()),
    };
    mains_inventory::inventory(vec![answer], SystemTime::now())
}

/// What a worker of its own says of one source.
pub(crate) async fn report(source: &str) -> Result<ProbeReport, String> {
    let mut worker = Worker::start(Role::Probe).await;
    let question = ToWorker::Probe {
        source: source.to_owned(),
        anew: false,
    };
    match worker.ask(question).await {
        Some(FromWorker::Report(report)) => Ok(report),
        Some(FromWorker::Error(message)) => Err(message),
        other => panic!("no report: {other:?}"),
    }
}

pub(crate) async fn facts() -> ModelFacts {
    facts_for(&["cpu"]).await
}

/// The pilot's facts for these drivers.
pub(crate) async fn facts_for(drivers: &[&str]) -> ModelFacts {
    facts_of(&pilot(), drivers).await
}

/// The facts of the model at `path` for these drivers.
pub(crate) async fn facts_of(path: &Path, drivers: &[&str]) -> ModelFacts {
    let mut worker = Worker::start(Role::Inspect).await;
    let inspect = ToWorker::Inspect {
        path: path.to_owned(),
        drivers: drivers.iter().map(|driver| (*driver).to_owned()).collect(),
        digest: None,
    };
    match worker.ask(inspect).await {
        Some(FromWorker::Facts(facts)) => *facts,
        other => panic!("no facts: {other:?}"),
    }
}

/// A request with one prompt and the most likely tokens.
pub(crate) fn request(prompt: Prompt) -> Generate {
    Generate {
        id: "cmpl-1".to_owned(),
        model: "pilot".to_owned(),
        prompts: vec![prompt],
        n: 1,
        max_tokens: Some(48),
        stop: Vec::new(),
        top_logprobs: None,
        echo: false,
        sampling: Sampling {
            temperature: Some(0.0),
            ..Sampling::default()
        },
        keep_alive_s: None,
    }
}

/// A request whose answer ends at `max_tokens` and never before: no control token may be chosen.
pub(crate) fn endless(path: &Path, prompt: Prompt, max_tokens: u32) -> Generate {
    /// `LLAMA_TOKEN_TYPE_CONTROL` of llama.cpp.
    const CONTROL: i32 = 3;
    let gguf = Gguf::open(path).unwrap();
    let Some(Value::Array(Array::I32(kinds))) = gguf.metadata().get("tokenizer.ggml.token_type") else {
        panic!("the pilot tells which tokens are control tokens");
    };
    let control = (0..).zip(kinds).filter(|(_, kind)| **kind == CONTROL);
    let mut request = request(prompt);
    request.max_tokens = Some(max_tokens);
    request.sampling.logit_bias = control
        .map(|(token, _)| LogitBias { token, bias: -100.0 })
        .collect();
    request
}

/// A question as a conversation.
pub(crate) fn question(text: &str) -> Prompt {
    Prompt::Chat(ChatPrompt {
        messages: format!(r#"[{{"role": "user", "content": "{text}"}}]"#),
        tools: None,
        variables: None,
        end: ChatEnd::NewAnswer,
    })
}
