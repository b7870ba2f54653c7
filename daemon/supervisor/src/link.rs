//! One worker's connection and process, from its start to the proof of its end.

use std::time::Duration;

use mains_types::{GenerationError, GenerationErrorKind};
use mains_wire::frames::{
    DaemonHello, FrameError, FrameReader, FrameWriter, FromWorker, ToWorker, Wall, WorkerHello,
};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::error::SupervisorError;
use crate::{Limits, Role, Spawn, SpawnError, WorkerEnd, WorkerProcess};

/// From a worker's start to its `Hello`: it has read no file but its own by then.
const HELLO_TIME: Duration = Duration::from_secs(20);

/// What a worker may take to end by itself before it is killed: it has nothing to save.
const END_GRACE: Duration = Duration::from_secs(5);

/// How long a failure waits for the kernel to say how the worker ended, before it is told without.
const END_TOLD: Duration = Duration::from_secs(2);

/// Both ways of a connection.
pub(crate) struct Link {
    pub(crate) reader: FrameReader<FromWorker, OwnedReadHalf>,
    pub(crate) writer: FrameWriter<ToWorker, OwnedWriteHalf>,
}

/// A worker whose `Hello` was heard.
pub(crate) struct Started {
    pub(crate) link: Link,
    pub(crate) process: Box<dyn WorkerProcess>,
    pub(crate) hello: WorkerHello,
}

/// A worker that did not do what it was started for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("broke the protocol: {0}")]
    Frame(#[from] FrameError),
    #[error("said {0} where it should not")]
    Unexpected(&'static str),
    /// In the worker's own words.
    #[error("refuses: {0}")]
    Refused(String),
    #[error("died ({0})")]
    Died(WorkerEnd),
    #[error("ended the connection and is not gone yet")]
    Closed,
    #[error("did not answer for {} s and was killed", .0.as_secs_f32())]
    Slow(Duration),
    #[error("was killed and is not gone: it hangs in the kernel, restart the machine")]
    Unending,
}

impl LinkError {
    pub(crate) fn of(self, role: Role) -> SupervisorError {
        match self {
            Self::Spawn(error) => error.into(),
            other => SupervisorError::Worker {
                role: role.name(),
                reason: other.to_string(),
            },
        }
    }
}

/// Starts a worker and hears its `Hello`.
pub(crate) async fn start(spawn: &dyn Spawn, role: Role, limits: Limits) -> Result<Started, LinkError> {
    let connection = spawn.spawn(role, limits).await?;
    let mut process = connection.process;
    match tokio::time::timeout(HELLO_TIME, greet(connection.stream, role)).await {
        Ok(Ok((link, hello))) => Ok(Started { link, process, hello }),
        Ok(Err(error)) => Err(how(error, &mut *process).await),
        Err(_) => {
            process.kill();
            Err(LinkError::Slow(HELLO_TIME))
        }
    }
}

async fn greet(stream: std::os::unix::net::UnixStream, role: Role) -> Result<(Link, WorkerHello), LinkError> {
    stream.set_nonblocking(true).map_err(FrameError::from)?;
    let (reading, writing) = UnixStream::from_std(stream)
        .map_err(FrameError::from)?
        .into_split();
    let mut link = Link {
        reader: FrameReader::new(reading),
        writer: FrameWriter::new(writing),
    };
    link.writer.send(ToWorker::Hello(DaemonHello::new(role))).await?;
    match link.next().await? {
        FromWorker::Hello(hello) => {
            hello.check(role)?;
            Ok((link, hello))
        }
        other => Err(LinkError::Unexpected(name(&other))),
    }
}

impl Link {
    /// The next frame; the connection's end is [`LinkError::Closed`].
    pub(crate) async fn next(&mut self) -> Result<FromWorker, LinkError> {
        self.reader.next().await?.ok_or(LinkError::Closed)
    }
}

/// Asks a worker of `role` one thing and ends it. The worker has `time` for its whole life.
pub(crate) async fn ask(
    spawn: &dyn Spawn,
    role: Role,
    limits: Limits,
    question: ToWorker,
    time: Duration,
) -> Result<FromWorker, LinkError> {
    let started = tokio::time::timeout(time, start(spawn, role, limits)).await;
    let Started {
        mut link,
        mut process,
        ..
    } = started.map_err(|_| LinkError::Slow(time))??;
    let exchange = async {
        link.writer.send(question).await?;
        link.next().await
    };
    let answer = match tokio::time::timeout(time, exchange).await {
        Ok(Ok(FromWorker::Error(words))) => Err(LinkError::Refused(words)),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(how(error, &mut *process).await),
        Err(_) => Err(LinkError::Slow(time)),
    };
    // Its answer is all that counts; the end needs no waiting for.
    tokio::spawn(async move { end(Some(link), &mut *process).await });
    answer
}

/// `error`, or how the process ended when that is why the connection failed.
pub(crate) async fn how(error: LinkError, process: &mut dyn WorkerProcess) -> LinkError {
    if !matches!(
        error,
        LinkError::Closed | LinkError::Frame(FrameError::Connection(_))
    ) {
        return error;
    }
    match tokio::time::timeout(END_TOLD, process.ended()).await {
        Ok(end) => LinkError::Died(end),
        Err(_) => error,
    }
}

/// Ends a worker and waits for the proof, however long it takes: its memory is not free before.
pub(crate) async fn end(link: Option<Link>, process: &mut dyn WorkerProcess) -> WorkerEnd {
    if let Some(mut link) = link {
        let polite = async {
            // A worker that does not read any more is killed below.
            let _told = link.writer.send(ToWorker::Shutdown).await;
            drop(link);
            process.ended().await
        };
        if let Ok(end) = tokio::time::timeout(END_GRACE, polite).await {
            return end;
        }
    }
    process.kill();
    process.ended().await
}

/// Those of `walls` that do not stand, in words.
pub(crate) fn missing(walls: &[Wall]) -> Vec<String> {
    let missing = walls
        .iter()
        .filter_map(|wall| Some((&wall.name, wall.missing.as_ref()?)));
    missing
        .map(|(name, reason)| format!("{name}: {reason}"))
        .collect()
}

pub(crate) const fn name(frame: &FromWorker) -> &'static str {
    match frame {
        FromWorker::Hello(_) => "Hello",
        FromWorker::Report(_) => "Report",
        FromWorker::Facts(_) => "Facts",
        FromWorker::Loaded { .. } => "Loaded",
        FromWorker::Started { .. } => "Started",
        FromWorker::Tokens { .. } => "Tokens",
        FromWorker::Finished { .. } => "Finished",
        FromWorker::Done { .. } => "Done",
        FromWorker::Failed { .. } => "Failed",
        FromWorker::Pong(_) => "Pong",
        FromWorker::Error(_) => "Error",
        FromWorker::Measuring { .. } => "Measuring",
        FromWorker::Measured(_) => "Measured",
        FromWorker::Writing { .. } => "Writing",
        FromWorker::Piece(_) => "Piece",
        FromWorker::Written => "Written",
        FromWorker::Group { .. } => "Group",
        FromWorker::Start(_) => "Start",
        FromWorker::File { .. } => "File",
    }
}

/// A failure of kind `kind` that no parameter is at fault for.
pub(crate) const fn failure(kind: GenerationErrorKind, message: String) -> GenerationError {
    GenerationError {
        kind,
        message,
        param: None,
    }
}
