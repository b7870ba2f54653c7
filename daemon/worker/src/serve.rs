//! The connection: frames in and out on one thread, the work on another.

use std::os::unix::net::UnixStream as StdStream;

use anyhow::{Context, Result, bail};
use mains_wire::frames::{FrameReader, FrameWriter, FromWorker, Role, ToWorker, Wall, WorkerHello};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use crate::inbox::{Inbox, Message, Outbox};

/// Frames that wait for the daemon to read; then the working thread waits. A few steps of a full batch.
const QUEUED_FRAMES: usize = 1024;

/// Bytes of frames that leave together at the least, where more wait: pieces of files would be copied into one another without
/// an end.
const SENT_BYTES: usize = 1 << 20;

/// Greets, then lets `work` answer what comes. Returns when the connection or the work ends; the caller ends the process then,
/// whatever the working thread does.
pub(crate) fn serve<P: Send + 'static>(
    role: Role,
    stream: StdStream,
    walls: Vec<Wall>,
    work: impl FnOnce(Inbox<P>, Outbox) -> Result<()> + Send + 'static,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let (reading, writing) = UnixStream::from_std(stream)?.into_split();
        let (frames, queue) = mpsc::channel(QUEUED_FRAMES);
        frames
            .send(FromWorker::Hello(WorkerHello::new(role, walls)))
            .await?;
        let outbox = Outbox(frames);
        let inbox = Inbox::new(outbox.clone());
        let mail = inbox.sender();
        let (ended, end) = oneshot::channel();
        let held = outbox.clone();
        std::thread::Builder::new()
            .name("work".to_owned())
            .spawn(move || {
                // A panic drops the sender, which tells as well.
                let _gone = ended.send(work(inbox, outbox));
                // The connection closes when the last outbox is gone: not before the outcome is known.
                drop(held);
            })
            .context("starting the working thread")?;
        let writer = tokio::spawn(write_all(queue, writing));
        tokio::select! {
            biased;
            end = end => {
                // What was said last must leave before the process ends.
                writer.await??;
                end.context("the working thread died")?
            }
            read = read_all(role, reading, |frame| mail.send(Message::Frame(frame)).is_ok()) => read,
        }
    })
}

/// Hands frames on until the connection ends.
async fn read_all(
    role: Role,
    stream: OwnedReadHalf,
    mut hand_on: impl FnMut(ToWorker) -> bool,
) -> Result<()> {
    let mut reader = FrameReader::<ToWorker, _>::new(stream);
    match reader.next().await? {
        Some(ToWorker::Hello(hello)) => hello.check(role)?,
        Some(_) => bail!("the first frame of mainsd was no hello"),
        None => return Ok(()),
    }
    while let Some(frame) = reader.next().await? {
        match frame {
            ToWorker::Shutdown => return Ok(()),
            ToWorker::Hello(_) => bail!("mainsd greeted twice"),
            frame => {
                if !hand_on(frame) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Writes frames as they come, several in one system call when several wait.
async fn write_all(mut queue: mpsc::Receiver<FromWorker>, stream: OwnedWriteHalf) -> Result<()> {
    let mut writer = FrameWriter::new(stream);
    while let Some(frame) = queue.recv().await {
        writer.queue(frame)?;
        while writer.pending() < SENT_BYTES
            && let Ok(frame) = queue.try_recv()
        {
            writer.queue(frame)?;
        }
        writer.flush().await?;
    }
    Ok(())
}
