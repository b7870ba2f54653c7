//! A file in the making: written under another name, hashed on the way, synced, and named when it is whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mains_types::Digest;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{Cache, Stamp, UNFINISHED};
use crate::{StoreError, write_whole};

/// Workers of another user read it.
const MODE: u32 = 0o644;

/// A file before it has its name. Dropped before its end it leaves nothing behind.
#[derive(Debug)]
pub struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
    hash: Sha256,
    bytes: u64,
    written: u64,
    /// Its start was replaced: what was hashed is not what it is.
    replaced: bool,
}

impl NewFile {
    /// A file for `path`, whose `bytes` are taken from the disk now.
    pub(super) fn create(path: &Path, bytes: u64) -> Result<Self, StoreError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let made = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder);
        let file = made.map_err(|error| StoreError::io("make", path, &error))?;
        let new = Self {
            file,
            path: path.to_owned(),
            hash: Sha256::new(),
            bytes,
            written: 0,
            replaced: false,
        };
        let length = i64::try_from(bytes).map_err(|_| new.failed(&io::ErrorKind::FileTooLarge.into()))?;
        if length > 0 {
            match fallocate(new.file.as_file(), FallocateFlags::empty(), 0, length) {
                // A file system that can not is written to without; it says itself when it is full.
                Ok(()) | Err(Errno::EOPNOTSUPP) => {}
                Err(error) => return Err(new.failed(&error.into())),
            }
        }
        Ok(new)
    }

    /// Adds `piece` to it.
    ///
    /// # Errors
    /// [`StoreError`] when the disk is full or fails, or more comes than was said.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.written = self.written.saturating_add(piece.len() as u64);
        if self.written > self.bytes {
            return Err(self.failed(&io::Error::other("more was written than was announced")));
        }
        self.hash.update(piece);
        self.file.write_all(piece).map_err(|error| self.failed(&error))
    }

    /// Puts `start` in place of as many bytes at the start.
    ///
    /// # Errors
    /// [`StoreError`] when so many are not there yet, or the disk fails.
    pub fn replace_start(&mut self, start: &[u8]) -> Result<(), StoreError> {
        if start.len() as u64 > self.written {
            return Err(self.failed(&io::Error::other("its start was replaced before it was written")));
        }
        self.replaced = true;
        let written = self.file.as_file().write_all_at(start, 0);
        written.map_err(|error| self.failed(&error))
    }

    /// Bytes that are written.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Syncs it, writes the record that `record` gives for it, and gives it its name; one that was there before is replaced.
    /// `record` hears by what it is known again and its SHA-256, which is unknown where the start was replaced.
    ///
    /// # Errors
    /// [`StoreError`] when bytes are missing or the disk fails.
    pub fn finish(mut self, record: impl FnOnce(Stamp, Option<Digest>) -> Vec<u8>) -> Result<(), StoreError> {
        if self.written != self.bytes {
            let reason = format!("{} of {} bytes came", self.written, self.bytes);
            return Err(self.failed(&io::Error::other(reason)));
        }
        let file = self.file.as_file();
        let synced = file
            .set_permissions(fs::Permissions::from_mode(MODE))
            .and_then(|()| file.sync_all());
        synced.map_err(|error| self.failed(&error))?;
        let stamp = Stamp::read(self.file.as_file_mut()).map_err(|error| self.failed(&error))?;
        let sha256 = (!self.replaced).then(|| Digest(self.hash.finalize().into()));
        let path = self.path;
        // The record first: a file is never there without it.
        write_whole(&Cache::record(&path), &record(stamp, sha256))?;
        self.file
            .persist(&path)
            .map_err(|error| StoreError::io("write", &path, &error.error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| StoreError::io("write", &path, &error))
    }

    fn failed(&self, error: &io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull {
                path: self.path.clone(),
                needed: self.bytes.saturating_sub(self.written),
            },
            _ => StoreError::io("write", &self.path, error),
        }
    }
}
