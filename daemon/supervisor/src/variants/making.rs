//! A file from the first byte that a worker says to the name that it gets.

use std::path::PathBuf;
use std::time::Duration;

use mains_store::{NewFile, StoreError};
use mains_wire::files::{FileRecord, write_record};
use mains_wire::frames::{FromWorker, ToWorker};

use super::{Held, Progress, Step};
use crate::context::Context;
use crate::error::taken;
use crate::link::{self, Link, LinkError, Started, name};
use crate::{Limits, Role, SupervisorError};

/// How long a worker may say nothing: quantizing the rows of one piece on a slow and busy processor takes seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// A file to be made.
pub(super) struct Making {
    pub(super) order: ToWorker,
    /// What the worker reads.
    pub(super) readable: Vec<PathBuf>,
    /// Where it is to be.
    pub(super) path: PathBuf,
    /// Bytes that it can not be larger than.
    pub(super) most: u64,
    /// What it is; by what it is known again is filled in.
    pub(super) record: FileRecord,
    pub(super) step: Step,
    /// Whose files it is made of: when that is removed, the making ends.
    pub(super) model: String,
}

/// Has a worker make a file, and keeps it, held.
pub(super) async fn make(
    context: &Context,
    making: Making,
    progress: &(impl Fn(Progress) + Sync),
) -> Result<Held, SupervisorError> {
    let limits = Limits {
        readable: making.readable.clone(),
        memory: None,
    };
    let started = link::start(&*context.spawn, Role::Convert, limits).await;
    let Started {
        mut link,
        mut process,
        ..
    } = started.map_err(|error| error.of(Role::Convert))?;
    let made = match take(context, &mut link, making, progress).await {
        Err(Failure::Link(error)) => Err(link::how(error, &mut *process).await.of(Role::Convert)),
        Err(Failure::Store(error)) => Err(error.into()),
        Err(Failure::Ending) => Err(SupervisorError::ShuttingDown),
        Err(Failure::Removed(model)) => Err(taken(&model, "is being removed")),
        Ok(held) => Ok(held),
    };
    // The file is all that counts; the end needs no waiting for.
    tokio::spawn(async move { link::end(Some(link), &mut *process).await });
    made
}

/// What may go wrong on the way.
enum Failure {
    Link(LinkError),
    Store(StoreError),
    /// The daemon ends.
    Ending,
    /// The model goes.
    Removed(String),
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// Writes what the worker says.
async fn take(
    context: &Context,
    link: &mut Link,
    making: Making,
    progress: &(impl Fn(Progress) + Sync),
) -> Result<Held, Failure> {
    // Before the look at what is removed: either it is seen there, or the removal waits for this.
    let begun = context.shelf.making(making.record.model);
    let send = link.writer.send(making.order).await;
    send.map_err(LinkError::from)?;
    let bytes = match next(link).await? {
        FromWorker::Writing { bytes } if bytes <= making.most => bytes,
        FromWorker::Writing { bytes } => {
            let refused = format!(
                "it would make a file of {bytes} bytes where {} are the most",
                making.most
            );
            return Err(LinkError::Refused(refused).into());
        }
        other => return Err(LinkError::Unexpected(name(&other)).into()),
    };
    let (shelf, path) = (context.shelf.clone(), making.path.clone());
    let (mut file, held) = blocking(move || shelf.begin(path, bytes)).await?;
    loop {
        if context.is_draining() {
            return Err(Failure::Ending);
        }
        if context.uses.is_removed(&making.model) {
            return Err(Failure::Removed(making.model));
        }
        file = match next(link).await? {
            FromWorker::Piece(piece) => written(file, move |file| file.write(&piece)).await?,
            FromWorker::Start(start) => written(file, move |file| file.replace_start(&start)).await?,
            FromWorker::Written => break,
            other => return Err(LinkError::Unexpected(name(&other)).into()),
        };
        progress(Progress {
            step: making.step,
            written: file.written(),
            bytes,
        });
    }
    let (record, shelf) = (making.record, context.shelf.clone());
    let finish = move || {
        // It is named even when nobody waits for it any more, and is in the making until then.
        let _begun = begun;
        file.finish(|stamp, sha256| {
            write_record(&FileRecord {
                bytes: stamp.bytes,
                head: stamp.head,
                sha256,
                ..record
            })
        })?;
        shelf.verified(making.path);
        Ok(())
    };
    blocking(finish).await?;
    Ok(held)
}

/// The next frame that is no refusal.
async fn next(link: &mut Link) -> Result<FromWorker, Failure> {
    match tokio::time::timeout(PATIENCE, link.next()).await {
        Ok(Ok(FromWorker::Error(words))) => Err(LinkError::Refused(words).into()),
        Ok(answer) => Ok(answer?),
        Err(_) => Err(LinkError::Slow(PATIENCE).into()),
    }
}

async fn written(
    mut file: NewFile,
    write: impl FnOnce(&mut NewFile) -> Result<(), StoreError> + Send + 'static,
) -> Result<NewFile, Failure> {
    blocking(move || write(&mut file).map(|()| file)).await
}

/// Disk writes block: they are done where that is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Failure::Store),
        Err(_) => Err(Failure::Ending),
    }
}
