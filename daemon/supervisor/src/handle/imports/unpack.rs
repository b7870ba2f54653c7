//! A worker reads a tar and says the model's files in it; they are written as it says them.

use std::time::Duration;

use mains_contract::Bytes;
use mains_store::{StoreError, Unpacking};
use mains_types::{ModelKind, StoredFile};
use mains_wire::frames::{FromWorker, ToWorker};
use tokio::sync::mpsc;

use super::{ImportPhase, ImportStep, Inner, tell};
use crate::link::{self, Link, LinkError, name};
use crate::{Limits, Role, SupervisorError};

/// From one word of the worker to the next: it lists a tar of the most entries within it, also on a slow disk.
const WORD_TIME: Duration = Duration::from_mins(2);

/// Words that wait to be written: 64 KiB each at the most.
const QUEUED_WORDS: usize = 64;

/// What is to be written next.
enum Word {
    File { name: String, bytes: Bytes },
    Piece(Vec<u8>),
}

/// The files of the tar of import `id`, written beside it.
pub(super) async fn unpack(
    inner: &Inner,
    id: &str,
    steps: &mpsc::Sender<ImportStep>,
) -> Result<(ModelKind, Vec<StoredFile>), SupervisorError> {
    let asked = id.to_owned();
    let (tar, unpacking) = inner
        .on_disk(move |library| Ok((library.tar_path(&asked)?, library.unpack(&asked)?)))
        .await?;
    let limits = Limits {
        readable: vec![tar.clone()],
        memory: None,
    };
    let started = link::start(&*inner.context.spawn, Role::Convert, limits).await;
    let mut started = started.map_err(|error| error.of(Role::Convert))?;
    let (words, queue) = mpsc::channel(QUEUED_WORDS);
    let writing = tokio::task::spawn_blocking(move || write(unpacking, queue));
    let asked = started.link.writer.send(ToWorker::Unpack(tar)).await;
    let heard = match asked {
        Ok(()) => listen(&mut started.link, words, steps).await,
        Err(error) => Err(error.into()),
    };
    let heard = match heard {
        Ok(whole) => Ok(whole),
        Err(error) => Err(link::how(error, &mut *started.process).await.of(Role::Convert)),
    };
    let (link, mut process) = (started.link, started.process);
    tokio::spawn(async move { link::end(Some(link), &mut *process).await });
    let written = writing.await.unwrap_or_else(|error| {
        Err(StoreError::Io {
            action: "write below",
            path: inner.store.folder().to_owned(),
            reason: error.to_string(),
        })
    });
    // What keeps the store from taking it counts before what the worker made of being stopped.
    let id = id.to_owned();
    let unpacking = inner
        .on_disk(move |library| library.unpacked(&id, written))
        .await?;
    heard?;
    inner.on_disk(move |_| unpacking.finish()).await
}

/// Hands on what the worker says, until it has said everything or nobody takes it any more.
async fn listen(
    link: &mut Link,
    words: mpsc::Sender<Word>,
    steps: &mpsc::Sender<ImportStep>,
) -> Result<(), LinkError> {
    let mut done = Bytes::ZERO;
    loop {
        let heard = tokio::time::timeout(WORD_TIME, link.next()).await;
        let word = match heard.map_err(|_| LinkError::Slow(WORD_TIME))?? {
            FromWorker::File { name, bytes } => Word::File {
                name,
                bytes: Bytes(bytes),
            },
            FromWorker::Piece(piece) => {
                done += Bytes::from(piece.len());
                tell(steps, ImportPhase::Unpacking, done, None);
                Word::Piece(piece)
            }
            FromWorker::Written => return Ok(()),
            FromWorker::Error(message) => return Err(LinkError::Refused(message)),
            other => return Err(LinkError::Unexpected(name(&other))),
        };
        if words.send(word).await.is_err() {
            return Ok(());
        }
    }
}

/// Writes what comes.
fn write(mut unpacking: Unpacking, mut queue: mpsc::Receiver<Word>) -> Result<Unpacking, StoreError> {
    while let Some(word) = queue.blocking_recv() {
        match word {
            Word::File { name, bytes } => unpacking.file(&name, bytes)?,
            Word::Piece(piece) => unpacking.write(&piece)?,
        }
    }
    Ok(unpacking)
}
