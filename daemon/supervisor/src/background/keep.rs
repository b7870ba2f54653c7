//! What is kept of measurements: the files beside models. They are written whole or not at all.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use mains_contract::Bytes;
use mains_store::{Store, StoreError, write_whole};
use mains_types::Digest;
use mains_wire::files::{MAX_MEASURING_BYTES, Measuring, read_measuring, write_measuring};
use mains_wire::frames::{BUILD_ID, FromWorker};
use tokio::io::AsyncWriteExt;

use crate::link::{Link, LinkError, name};

/// Bytes of an importance file at the most: of a mixture of 400 experts in 60 layers, with the products of its columns, some
/// 8 GiB.
const MOST_IMPORTANCE: Bytes = Bytes::from_mib(16 << 10);

/// What the name of a file that is not whole ends with.
const PARTIAL: &str = "partial";

/// A file that did not come.
#[derive(Debug)]
pub(crate) enum ReceiveError {
    Link(LinkError),
    Disk(StoreError),
}

impl From<LinkError> for ReceiveError {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// Makes the folder of what is kept, and removes what an earlier daemon left unfinished.
pub(crate) fn open_folder(state_dir: &Path) -> Result<(), StoreError> {
    let folder = folder(state_dir);
    let failed = |action, error: &io::Error| disk(action, &folder, error);
    std::fs::create_dir_all(&folder).map_err(|error| failed("make", &error))?;
    for entry in std::fs::read_dir(&folder).map_err(|error| failed("read", &error))? {
        let path = entry.map_err(|error| failed("read", &error))?.path();
        // What `write_whole` had not renamed yet, too.
        let unfinished = |name: &OsStr| name == PARTIAL || name.as_encoded_bytes().starts_with(b"tmp");
        if path.extension().is_some_and(unfinished) {
            std::fs::remove_file(&path).map_err(|error| disk("remove", &path, &error))?;
        }
    }
    Ok(())
}

fn folder(state_dir: &Path) -> PathBuf {
    let file = Store::measuring(state_dir, &Digest([0; 32]));
    file.parent().map_or_else(|| state_dir.to_owned(), Path::to_owned)
}

/// What is known of `model`. A record that can not be read is as good as none.
pub(crate) fn read(state_dir: &Path, model: &Digest) -> Measuring {
    let path = Store::measuring(state_dir, model);
    let lost = |reason: String| {
        tracing::warn!(path = %path.display(), reason, "a measurement begins anew");
        Measuring::default()
    };
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Measuring::default(),
        Ok(metadata) if metadata.len() > MAX_MEASURING_BYTES => return lost("it is too long".to_owned()),
        _ => {}
    }
    match std::fs::read(&path) {
        Ok(bytes) => read_measuring(&bytes, model, BUILD_ID).unwrap_or_else(|error| lost(error.to_string())),
        Err(error) => lost(error.to_string()),
    }
}

/// Replaces the record of `model`.
pub(crate) fn write(state_dir: &Path, model: &Digest, record: &Measuring) -> Result<(), StoreError> {
    let path = Store::measuring(state_dir, model);
    write_whole(&path, &write_measuring(record, model, BUILD_ID))
}

/// Replaces the table of `model`, of which nothing else needs to be known then.
pub(crate) fn write_table(state_dir: &Path, model: &Digest, table: &[u8]) -> Result<(), StoreError> {
    write_whole(&Store::sensitivity(state_dir, model), table)?;
    let record = Store::measuring(state_dir, model);
    match std::fs::remove_file(&record) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk("remove", &record, &error)),
        _ => Ok(()),
    }
}

/// What the file at `path` is called until it is whole.
pub(crate) fn partial(path: &Path) -> PathBuf {
    path.with_extension(PARTIAL)
}

/// Writes the file of `bytes` bytes that a worker says to `path`.
pub(crate) async fn receive(link: &mut Link, bytes: u64, path: &Path) -> Result<(), ReceiveError> {
    if bytes > MOST_IMPORTANCE.0 {
        let refused = format!("its importance has {}, more than {MOST_IMPORTANCE}", Bytes(bytes));
        return Err(LinkError::Refused(refused).into());
    }
    let partial = partial(path);
    let failed = |error: &io::Error| ReceiveError::Disk(full_or(error, path, bytes));
    let mut file = tokio::fs::File::create(&partial)
        .await
        .map_err(|error| failed(&error))?;
    let mut pieces = Pieces { link, missing: bytes };
    while let Some(piece) = pieces.next().await? {
        file.write_all(&piece).await.map_err(|error| failed(&error))?;
    }
    file.sync_all().await.map_err(|error| failed(&error))?;
    let (from, to) = (partial, path.to_owned());
    let linked = tokio::task::spawn_blocking(move || {
        std::fs::rename(&from, &to)?;
        to.parent()
            .map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
    });
    let linked = linked.await.map_err(io::Error::other);
    linked.flatten().map_err(|error| failed(&error))
}

/// The file of `bytes` bytes that a worker says, at most `most`.
pub(crate) async fn receive_into_memory(
    link: &mut Link,
    bytes: u64,
    most: u64,
) -> Result<Vec<u8>, ReceiveError> {
    if bytes > most {
        let refused = format!("its table has {}, more than {}", Bytes(bytes), Bytes(most));
        return Err(LinkError::Refused(refused).into());
    }
    let mut file = Vec::new();
    let mut pieces = Pieces { link, missing: bytes };
    while let Some(piece) = pieces.next().await? {
        file.extend(piece);
    }
    Ok(file)
}

/// A file that comes in pieces, as long as it was said to be.
struct Pieces<'a> {
    link: &'a mut Link,
    missing: u64,
}

impl Pieces<'_> {
    /// The next piece; `None` when the file is whole.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        match self.link.next().await? {
            FromWorker::Piece(piece) => {
                let left = self.missing.checked_sub(piece.len() as u64);
                let more = || LinkError::Refused("its file is longer than it said".to_owned());
                self.missing = left.ok_or_else(more)?;
                Ok(Some(piece))
            }
            FromWorker::Written if self.missing == 0 => Ok(None),
            FromWorker::Written => Err(LinkError::Refused("its file is shorter than it said".to_owned())),
            FromWorker::Error(words) => Err(LinkError::Refused(words)),
            other => Err(LinkError::Unexpected(name(&other))),
        }
    }
}

fn full_or(error: &io::Error, path: &Path, needed: u64) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull {
            path: path.to_owned(),
            needed,
        },
        _ => disk("write", path, error),
    }
}

fn disk(action: &'static str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::Io {
        action,
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mains_types::Digest;
    use mains_wire::files::Measuring;
    use mains_wire::frames::{FrameReader, FrameWriter, FromWorker};
    use tokio::net::UnixStream;

    use super::{ReceiveError, open_folder, read, receive, receive_into_memory, write};
    use crate::link::{Link, LinkError};

    const MODEL: Digest = Digest([1; 32]);

    /// What comes of a file of 4 bytes in these frames, written to `path`.
    async fn came(frames: Vec<FromWorker>, path: &Path) -> Result<(), ReceiveError> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reading, writing) = ours.into_split();
        let (_their_reading, their_writing) = theirs.into_split();
        let mut worker = FrameWriter::<FromWorker, _>::new(their_writing);
        for frame in frames {
            worker.send(frame).await.unwrap();
        }
        drop(worker);
        let mut link = Link {
            reader: FrameReader::new(reading),
            writer: FrameWriter::new(writing),
        };
        receive(&mut link, 4, path).await
    }

    fn piece(bytes: &[u8]) -> FromWorker {
        FromWorker::Piece(bytes.to_vec())
    }

    #[tokio::test]
    async fn a_file_comes_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gguf");
        let why = |result: Result<(), ReceiveError>| match result {
            Err(ReceiveError::Link(error)) => error.to_string(),
            other => panic!("it is not refused: {other:?}"),
        };
        let short = came(vec![piece(b"abc"), FromWorker::Written], &path).await;
        assert!(why(short).contains("shorter"));
        let long = came(vec![piece(b"abc"), piece(b"de")], &path).await;
        assert!(why(long).contains("longer"));
        let died = came(vec![piece(b"abc")], &path).await;
        assert!(matches!(died, Err(ReceiveError::Link(LinkError::Closed))));
        let strange = came(vec![FromWorker::Pong(1)], &path).await;
        assert!(why(strange).contains("Pong"));
        assert!(!path.exists());
        came(vec![piece(b"abc"), piece(b"d"), FromWorker::Written], &path)
            .await
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abcd");
    }

    #[tokio::test]
    async fn what_is_too_long_is_refused_before_it_comes() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let (reading, writing) = ours.into_split();
        let mut link = Link {
            reader: FrameReader::new(reading),
            writer: FrameWriter::new(writing),
        };
        assert!(receive(&mut link, u64::MAX, Path::new("/nowhere")).await.is_err());
        assert!(receive_into_memory(&mut link, 11, 10).await.is_err());
    }

    #[test]
    fn records_survive_and_what_is_unfinished_does_not() {
        let state = tempfile::tempdir().unwrap();
        open_folder(state.path()).unwrap();
        assert_eq!(read(state.path(), &MODEL), Measuring::default());
        let record = Measuring {
            groups: vec![("a".to_owned(), 0.5)],
            ..Measuring::default()
        };
        write(state.path(), &MODEL, &record).unwrap();
        let measured = state.path().join("models/measured");
        std::fs::write(measured.join("x.partial"), "half").unwrap();
        std::fs::write(measured.join("x.tmp12"), "half").unwrap();
        open_folder(state.path()).unwrap();
        assert_eq!(read(state.path(), &MODEL), record);
        assert_eq!(std::fs::read_dir(&measured).unwrap().count(), 1);
        std::fs::write(measured.join(format!("{MODEL}.measuring")), "{").unwrap();
        assert_eq!(read(state.path(), &MODEL), Measuring::default());
    }
}
