//! A model as one standard GGUF file, for whoever asked to write: its own file, one that was made of it, or what a worker converts.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mains_contract::Bytes;
use mains_store::{Store, StoreError};
use mains_types::{Digest, model_files};
use mains_wire::frames::{ConvertOrder, FromWorker, ToWorker};
use tokio::sync::mpsc;

use super::Supervisor;
use crate::error::taken;
use crate::link::{self, LinkError, Started, name};
use crate::uses::{Use, Using};
use crate::{Limits, Role, SupervisorError};

/// Bytes that are read of a file at once.
const READ_BYTES: usize = 1 << 20;

/// Pieces that wait for the client.
const QUEUED_PIECES: usize = 16;

/// From one word of the worker to the next: it quantizes nothing here, and reads a tensor of the slowest disk within it.
const WORD_TIME: Duration = Duration::from_mins(5);

/// A GGUF file as it comes. Dropping it ends the work.
#[derive(Debug)]
pub struct Export {
    /// How many bytes it has.
    pub bytes: Bytes,
    /// Its bytes in order, or why they end before that.
    pub pieces: mpsc::Receiver<Result<Vec<u8>, SupervisorError>>,
}

impl Supervisor {
    /// The model called `what`, at the types of its own files, or the variant with that digest - a plan's, or its
    /// weights' - as a GGUF file.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is neither, it can not be read, or a worker can not convert it.
    pub async fn export(&self, what: &str) -> Result<Export, SupervisorError> {
        if let Some(digest) = Digest::from_hex(what) {
            let state_dir = self.current().config.state_dir.clone();
            return match self.inner.context.shelf.weights(digest).await? {
                // Whoever removes it meanwhile takes the name: what is open is read to its end.
                Some(weights) => read_file(Store::variant(&state_dir, &weights), None).await,
                None => Err(taken(
                    what,
                    "is no variant on disk: `mains prepare` makes one and prints its digest, `mains show MODEL` lists them; \
                     a model at its own types is exported by its name",
                )),
            };
        }
        let path = self.known(what)?.source().path;
        let using = self.inner.context.uses.begin(what, Use::Export)?;
        let files = model_files(&path);
        if path.is_file() && files.len() == 1 {
            return read_file(path, Some(using)).await;
        }
        self.convert(&path, files, using).await
    }

    async fn convert(
        &self,
        path: &Path,
        readable: Vec<PathBuf>,
        using: Using,
    ) -> Result<Export, SupervisorError> {
        let limits = Limits {
            readable,
            memory: None,
        };
        let started = link::start(&*self.inner.context.spawn, Role::Convert, limits).await;
        let mut started = started.map_err(|error| error.of(Role::Convert))?;
        let order = ToWorker::Convert(ConvertOrder {
            path: path.to_owned(),
            formats: Vec::new(),
            importance: None,
            threads: 0,
        });
        let first = async {
            started.link.writer.send(order).await?;
            hear(&mut started).await
        };
        let bytes = match first.await {
            Ok(FromWorker::Writing { bytes }) => Bytes(bytes),
            Ok(other) => return Err(LinkError::Unexpected(name(&other)).of(Role::Convert)),
            Err(error) => return Err(link::how(error, &mut *started.process).await.of(Role::Convert)),
        };
        let (sender, pieces) = mpsc::channel(QUEUED_PIECES);
        tokio::spawn(async move {
            let _using = using;
            hand_on(started, bytes, sender).await;
        });
        Ok(Export { bytes, pieces })
    }
}

async fn hear(started: &mut Started) -> Result<FromWorker, LinkError> {
    match tokio::time::timeout(WORD_TIME, started.link.next()).await {
        Ok(Ok(FromWorker::Error(message))) => Err(LinkError::Refused(message)),
        Ok(heard) => heard,
        Err(_) => Err(LinkError::Slow(WORD_TIME)),
    }
}

/// Hands on the worker's pieces, as many as it said, until they end or nobody takes them.
async fn hand_on(mut started: Started, bytes: Bytes, pieces: mpsc::Sender<Result<Vec<u8>, SupervisorError>>) {
    let mut rest = bytes;
    let end = loop {
        let piece = match hear(&mut started).await {
            Ok(FromWorker::Piece(piece)) => piece,
            Ok(FromWorker::Written) if rest == Bytes::ZERO => break Ok(()),
            Ok(other) => break Err(LinkError::Unexpected(name(&other))),
            Err(error) => break Err(error),
        };
        rest = match rest.checked_sub(Bytes::from(piece.len())) {
            Some(rest) => rest,
            None => break Err(LinkError::Unexpected("more bytes")),
        };
        if pieces.send(Ok(piece)).await.is_err() {
            break Ok(());
        }
    };
    if let Err(error) = end {
        let error = link::how(error, &mut *started.process).await.of(Role::Convert);
        // A client that has gone needs no reason.
        let _gone = pieces.send(Err(error)).await;
    }
    link::end(Some(started.link), &mut *started.process).await;
}

/// The bytes of a file as it is, which is used as `using` says until they are read.
async fn read_file(path: PathBuf, using: Option<Using>) -> Result<Export, SupervisorError> {
    let failed = |path: &Path, error: &std::io::Error| StoreError::Io {
        action: "read",
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let opened = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || {
            let file = std::fs::File::open(&path)?;
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        })
        .await
    };
    let opened = opened.map_err(std::io::Error::other).flatten();
    let (mut file, bytes) = opened.map_err(|error| failed(&path, &error))?;
    let (sender, pieces) = mpsc::channel(QUEUED_PIECES);
    tokio::task::spawn_blocking(move || {
        let _using = using;
        let mut rest = bytes;
        while rest > 0 {
            let wanted = usize::try_from(rest).unwrap_or(READ_BYTES).min(READ_BYTES);
            let mut piece = vec![0; wanted];
            let read = file
                .read_exact(&mut piece)
                .map_err(|error| failed(&path, &error).into());
            let ended = read.is_err();
            if sender.blocking_send(read.map(|()| piece)).is_err() || ended {
                return;
            }
            rest -= wanted as u64;
        }
    });
    Ok(Export {
        bytes: Bytes(bytes),
        pieces,
    })
}
