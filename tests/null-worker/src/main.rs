//! A worker without a model, a double for `mains-worker` in tests of the daemon and in cost benchmarks.
//!
//! It is started like the real one, `mains-null-worker <role> [ignored arguments]` with the connection as descriptor 3, and
//! answers every frame with fixed values. How it behaves, and misbehaves, is set by [`behaviour::Behaviour`].

mod answers;
mod behaviour;
mod convert;
mod generate;
mod sensitivity;
mod unpack;

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use mains_wire::frames::{
    FrameReader, FrameWriter, FromWorker, Role, ToWorker, WorkerHello, inherited_connection,
};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use behaviour::Behaviour;

/// Frames that wait for the writer; a full queue stops the generation as it does in the real worker.
const QUEUED_FRAMES: usize = 1024;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mains-null-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let stream = inherited_connection()?;
    let word = std::env::args()
        .nth(1)
        .context("the first argument is the role")?;
    let role = Role::from_command(&word).with_context(|| format!("no role is called {word:?}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(role, stream))
}

/// A request that generates.
struct Running {
    task: JoinHandle<()>,
    paused: watch::Sender<bool>,
}

fn pause(running: &HashMap<u64, Running>, number: u64, pause: bool) {
    if let Some(request) = running.get(&number) {
        request.paused.send_replace(pause);
    }
}

async fn serve(role: Role, stream: std::os::unix::net::UnixStream) -> Result<()> {
    let raw = stream.try_clone()?;
    let (reading, writing) = UnixStream::from_std(stream)?.into_split();
    let (frames, queue) = mpsc::channel(QUEUED_FRAMES);
    let writer = tokio::spawn(write_all(queue, writing));
    frames
        .send(FromWorker::Hello(WorkerHello::new(role, Vec::new())))
        .await?;
    let mut reader = FrameReader::<ToWorker, _>::new(reading);
    let mut behaviour = Behaviour::from_environment()?;
    let mut running: HashMap<u64, Running> = HashMap::new();
    while let Some(frame) = reader.next().await? {
        match frame {
            ToWorker::Hello(hello) => hello.check(role)?,
            ToWorker::Probe { source, .. } => frames.send(answers::report(&behaviour, &source)).await?,
            ToWorker::Inspect { path, .. } => frames.send(answers::facts(&behaviour, &path)?).await?,
            ToWorker::Load { path, plan, .. } => {
                behaviour = behaviour.with_file(&path)?;
                frames.send(answers::loaded(&behaviour, plan)).await?;
            }
            ToWorker::Generate(number, request) => {
                running.retain(|_, request| !request.task.is_finished());
                let (paused, watched) = watch::channel(false);
                let generation = generate::run(behaviour.clone(), number, request, watched, frames.clone());
                let task = tokio::spawn(generation);
                running.insert(number, Running { task, paused });
            }
            ToWorker::Cancel(number) => {
                if let Some(request) = running.remove(&number) {
                    request.task.abort();
                }
            }
            ToWorker::Pause(number) => pause(&running, number, true),
            ToWorker::Resume(number) => pause(&running, number, false),
            ToWorker::Ping(nonce) => frames.send(FromWorker::Pong(nonce)).await?,
            ToWorker::Measure { driver, threads, .. } => {
                for frame in answers::measured(driver, threads) {
                    frames.send(frame).await?;
                }
            }
            ToWorker::Convert(order) => {
                convert::convert(&behaviour.with_file(&order.path)?, &order, &frames).await?;
            }
            ToWorker::Unpack(path) => {
                unpack::unpack(&behaviour.with_file(&path)?, &path, &frames, &raw).await?;
            }
            ToWorker::Pack(_) => {
                let refused = "the null worker packs no weights".to_owned();
                frames.send(FromWorker::Error(refused)).await?;
            }
            ToWorker::Sensitivity(order) => {
                sensitivity::measure(&behaviour.with_file(&order.path)?, &order, &frames).await?;
            }
            ToWorker::Shutdown => break,
        }
        if writer.is_finished() {
            bail!("the connection failed while writing");
        }
    }
    Ok(())
}

/// Waits until what was said has left for the daemon.
async fn said(frames: &mpsc::Sender<FromWorker>) {
    while frames.capacity() < frames.max_capacity() {
        tokio::task::yield_now().await;
    }
}

/// Writes frames as they come, several in one system call when several wait.
async fn write_all(mut queue: mpsc::Receiver<FromWorker>, stream: OwnedWriteHalf) -> Result<()> {
    let mut writer = FrameWriter::new(stream);
    while let Some(frame) = queue.recv().await {
        writer.queue(frame)?;
        while let Ok(frame) = queue.try_recv() {
            writer.queue(frame)?;
        }
        writer.flush().await?;
    }
    Ok(())
}
