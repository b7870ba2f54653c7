//! An import that is under way: its files as they grow, and its state on disk.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mains_contract::Bytes;
use mains_types::{ImportKind, ImportRequest, ImportState};
use mains_wire::files::write_incoming;
use sha2::{Digest as _, Sha256};

use super::layout::refused;
use super::state_path;
use super::unpack::unpacked_path;
use crate::disk::{Disk, DiskFile};
use crate::{StoreError, write};

/// An import that is under way.
pub(super) struct Incoming {
    pub(super) folder: PathBuf,
    pub(super) request: ImportRequest,
    pub(super) names: Vec<String>,
    /// Bytes of each file that are safe.
    pub(super) received: Vec<Bytes>,
    pub(super) open: Vec<Arriving>,
    /// It was removed while somebody waited to go on with it.
    pub(super) dropped: bool,
}

/// A file as this process has written it.
#[derive(Default)]
pub(super) struct Arriving {
    file: Option<Box<dyn DiskFile>>,
    at: u64,
    /// Of every byte before `at`; none when an earlier process wrote some of them.
    pub(super) hash: Option<Sha256>,
}

/// An import, and what it still needs, which others may ask while it is at work.
#[derive(Debug)]
pub(super) struct UnderWay {
    incoming: Mutex<Incoming>,
    needed: AtomicU64,
}

impl UnderWay {
    pub(super) fn new(incoming: Incoming) -> Self {
        Self {
            needed: AtomicU64::new(incoming.needed().0),
            incoming: Mutex::new(incoming),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, incoming: &Incoming) {
        self.needed.store(incoming.needed().0, Ordering::Relaxed);
    }

    pub(super) fn needed(&self) -> Bytes {
        Bytes(self.needed.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Incoming")
            .field("folder", &self.folder)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl Incoming {
    /// Bytes that are still to come and, for a tar, all that is to be unpacked of it.
    pub(super) fn needed(&self) -> Bytes {
        let total: Bytes = self.request.files.iter().map(|file| file.bytes).sum();
        let received: Bytes = self.open.iter().map(|open| Bytes(open.at)).sum();
        let rest = total.checked_sub(received).unwrap_or(Bytes::ZERO);
        match self.request.kind {
            ImportKind::Tar => rest + total,
            ImportKind::Files(_) => rest,
        }
    }

    pub(super) fn state(&self, id: String) -> ImportState {
        ImportState {
            id,
            received: self.received.clone(),
        }
    }

    /// The folder of the model's own files.
    pub(super) fn model_folder(&self) -> PathBuf {
        match self.request.kind {
            ImportKind::Tar => unpacked_path(&self.folder),
            ImportKind::Files(_) => files_path(&self.folder),
        }
    }

    pub(super) fn path(&self, number: usize) -> PathBuf {
        files_path(&self.folder).join(&self.names[number])
    }

    /// Forgets what was written and is not safe.
    pub(super) fn rewind(&mut self) {
        for (open, safe) in self.open.iter_mut().zip(&self.received) {
            if open.at != safe.0 {
                *open = Arriving::at(*safe);
            }
        }
    }

    pub(super) fn write(
        &mut self,
        disk: &dyn Disk,
        number: usize,
        offset: Bytes,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let size = self.size(number)?;
        let path = self.path(number);
        let safe = self.received[number];
        let open = &mut self.open[number];
        let expected = Bytes(open.at);
        let end = open
            .at
            .checked_add(bytes.len() as u64)
            .filter(|end| *end <= size.0);
        let Some(end) = end.filter(|_| offset == expected) else {
            return Err(StoreError::Offset { number, expected });
        };
        let result = open
            .file(disk, &path)
            .and_then(|file| file.write_at(offset.0, bytes));
        if let Err(error) = result {
            *open = Arriving::at(safe);
            return Err(write::failed(&path, Bytes(size.0 - safe.0), &error));
        }
        if let Some(hash) = &mut open.hash {
            hash.update(bytes);
        }
        open.at = end;
        Ok(())
    }

    pub(super) fn settle(&mut self, disk: &dyn Disk, number: usize) -> Result<Bytes, StoreError> {
        let size = self.size(number)?;
        let path = self.path(number);
        let safe = self.received[number];
        let open = &mut self.open[number];
        let at = open.at;
        let files = files_path(&self.folder);
        let synced = open
            .file(disk, &path)
            .and_then(|file| file.sync())
            .and_then(|()| {
                if safe == Bytes::ZERO {
                    disk.sync_folder(&files)
                } else {
                    Ok(())
                }
            });
        if let Err(error) = synced {
            *open = Arriving::at(safe);
            return Err(write::failed(&path, Bytes(size.0 - safe.0), &error));
        }
        self.received[number] = Bytes(at);
        if let Err(error) = self.save(disk) {
            self.received[number] = safe;
            self.open[number] = Arriving::at(safe);
            return Err(error);
        }
        Ok(Bytes(at))
    }

    fn size(&self, number: usize) -> Result<Bytes, StoreError> {
        let count = self.request.files.len();
        let file = self.request.files.get(number).map(|file| file.bytes);
        file.ok_or_else(|| refused(&format!("file {number}"), &format!("is not one of {count}")))
    }

    pub(super) fn save(&self, disk: &dyn Disk) -> Result<(), StoreError> {
        let state = write_incoming(&self.request, &self.received);
        write::write_whole_on(disk, &state_path(&self.folder), &state)
    }
}

impl Arriving {
    pub(super) fn at(safe: Bytes) -> Self {
        Self {
            file: None,
            at: safe.0,
            hash: (safe == Bytes::ZERO).then(Sha256::new),
        }
    }

    /// The file, opened and cut to what was written when this is its first use.
    fn file(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<&mut Box<dyn DiskFile>> {
        if self.file.is_none() {
            let mut file = disk.open(path)?;
            file.set_len(self.at)?;
            self.file = Some(file);
        }
        Ok(self.file.as_mut().expect("it was just opened"))
    }
}

pub(super) fn files_path(folder: &Path) -> PathBuf {
    folder.join("files")
}
