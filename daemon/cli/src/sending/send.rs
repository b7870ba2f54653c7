//! Sends a model's files in pieces, from where the daemon has them safe.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use anyhow::{Context, bail};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use mains_wire::http::{FinishBody, ImportBody, ImportFileBody, ImportStateBody, ReceivedBody};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::Source;
use super::source::SourceFile;
use crate::client::Client;
use crate::progress::Progress;

/// Bytes of one request: what a broken connection or daemon may cost to send again. The daemon syncs its disk after each.
const PIECE_BYTES: u64 = 64 << 20;

/// Bytes that are read and hashed at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Chunks that wait to be sent: reading and sending overlap.
const QUEUED_CHUNKS: usize = 4;

/// Bytes at the start of a file that tell it from another of its name and size.
const HEAD_BYTES: u64 = 1 << 20;

/// Sends what the daemon does not have of `source` as a model called `name`. Returns the import's id and the digests that finish it.
pub(crate) async fn send(
    admin: &Client,
    source: &Source,
    name: &str,
    progress: &Progress,
) -> anyhow::Result<(String, FinishBody)> {
    let body = ImportBody {
        name: name.to_owned(),
        kind: source.kind.name().to_owned(),
        origin: source.origin.clone(),
        files: source.files.iter().map(described).collect::<Result<_, _>>()?,
    };
    let body = serde_json::to_vec(&body)?;
    let state: ImportStateBody = admin.post_bytes("/admin/imports", body).await?;
    if state.received.len() != source.files.len() {
        bail!(
            "the daemon counts {} files, not {}",
            state.received.len(),
            source.files.len()
        );
    }
    let done: u64 = state.received.iter().sum();
    let mut digests = Vec::with_capacity(source.files.len());
    if done > 0 {
        progress.begin("comparing", 0, Some(done));
    }
    let mut readers = Vec::with_capacity(source.files.len());
    for (file, received) in source.files.iter().zip(&state.received) {
        readers.push(Reader::open(file, *received, progress).await?);
    }
    progress.begin("sending", done, Some(source.bytes()));
    for (number, mut reader) in readers.into_iter().enumerate() {
        while reader.at < reader.size {
            let path = format!("/admin/imports/{}/files/{number}?offset={}", state.id, reader.at);
            reader = piece(admin, &path, reader, progress).await?;
        }
        digests.push(hex(reader.hash));
    }
    Ok((state.id, FinishBody { digests }))
}

/// Sends the next piece of a file.
async fn piece(
    admin: &Client,
    path: &str,
    mut reader: Reader,
    progress: &Progress,
) -> anyhow::Result<Reader> {
    let (sender, receiver) = mpsc::channel::<Bytes>(QUEUED_CHUNKS);
    let reading = tokio::task::spawn_blocking(move || {
        let read = reader.read(PIECE_BYTES, |chunk| sender.blocking_send(chunk).is_ok());
        read.map(|()| reader)
    });
    let progress = progress.clone();
    let frames = stream::unfold((receiver, progress), async |(mut receiver, progress)| {
        let chunk: Bytes = receiver.recv().await?;
        progress.add(chunk.len() as u64);
        Some((Ok::<_, io::Error>(Frame::data(chunk)), (receiver, progress)))
    });
    let answer: ReceivedBody = admin.put(path, StreamBody::new(frames)).await?;
    let reader = reading.await.context("the reading thread")??;
    if answer.received != reader.at {
        bail!(
            "the daemon has {} bytes where {} were sent; start the import again",
            answer.received,
            reader.at
        );
    }
    Ok(reader)
}

/// A file that is read once from its start to its end, and hashed on the way.
struct Reader {
    file: File,
    path: PathBuf,
    hash: Sha256,
    at: u64,
    size: u64,
}

impl Reader {
    /// Opens `file` and hashes the `received` bytes that need no sending.
    async fn open(file: &SourceFile, received: u64, progress: &Progress) -> anyhow::Result<Self> {
        let open = File::open(&file.path).with_context(|| file.path.display().to_string())?;
        let mut reader = Self {
            file: open,
            path: file.path.clone(),
            hash: Sha256::new(),
            at: 0,
            size: file.bytes,
        };
        let (sender, mut receiver) = mpsc::channel(QUEUED_CHUNKS);
        let reading = tokio::task::spawn_blocking(move || {
            let read = reader.read(received, |chunk| sender.blocking_send(chunk.len()).is_ok());
            read.map(|()| reader)
        });
        while let Some(bytes) = receiver.recv().await {
            progress.add(bytes as u64);
        }
        reading.await.context("the reading thread")?
    }

    /// Reads up to `bytes` more and gives them to `take`, until that says that nobody wants them.
    fn read(&mut self, bytes: u64, mut take: impl FnMut(Bytes) -> bool) -> anyhow::Result<()> {
        let end = self.size.min(self.at.saturating_add(bytes));
        while self.at < end {
            let wanted = usize::try_from(end - self.at)
                .unwrap_or(CHUNK_BYTES)
                .min(CHUNK_BYTES);
            let mut chunk = vec![0; wanted];
            let read = self.file.read_exact(&mut chunk);
            read.with_context(|| format!("{}: it changed while it was read", self.path.display()))?;
            self.hash.update(&chunk);
            self.at += wanted as u64;
            if !take(chunk.into()) {
                break;
            }
        }
        Ok(())
    }
}

fn described(file: &SourceFile) -> anyhow::Result<ImportFileBody> {
    let head = || {
        let open = File::open(&file.path)?;
        let mut bytes = Vec::new();
        open.take(HEAD_BYTES).read_to_end(&mut bytes)?;
        let mut hash = Sha256::new();
        hash.update(&bytes);
        Ok::<_, io::Error>(hex(hash))
    };
    Ok(ImportFileBody {
        name: file.name.clone(),
        bytes: file.bytes,
        head: head().with_context(|| file.path.display().to_string())?,
    })
}

fn hex(hash: Sha256) -> String {
    let digest: [u8; 32] = hash.finalize().into();
    mains_types::Digest(digest).to_string()
}
