//! What a worker says is in a tar: names are judged, bytes counted, files written and synced beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mains_contract::Bytes;
use mains_types::{Digest, ImportKind, ModelKind, StoredFile};
use sha2::{Digest as _, Sha256};

use super::Library;
use super::layout::{MAX_FILES, check_file_name, refused, stored_names};
use crate::disk::{Disk, DiskFile};
use crate::{StoreError, write};

/// The files of a tar, as they come.
pub struct Unpacking {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// Bytes that the tar has: its files can not have more together.
    room: u64,
    /// Whole files by the names that they came with; on the disk they have their numbers.
    done: Vec<StoredFile>,
    open: Option<Growing>,
}

struct Growing {
    name: String,
    bytes: u64,
    at: u64,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    hash: Sha256,
}

impl Library {
    /// Where the tar of an import lies.
    ///
    /// # Errors
    /// [`StoreError::NoImport`], or [`StoreError::Refused`] when it is no import of a tar.
    pub fn tar_path(&self, id: &str) -> Result<PathBuf, StoreError> {
        let known = self.find(id)?;
        let incoming = known.lock();
        match incoming.request.kind {
            ImportKind::Tar => Ok(incoming.path(0)),
            ImportKind::Files(_) => Err(refused("the import", "is no tar")),
        }
    }

    /// Begins to take the files of a checked tar. What an earlier try has left is removed.
    ///
    /// # Errors
    /// As [`Self::tar_path`], or what the disk says.
    pub fn unpack(&self, id: &str) -> Result<Unpacking, StoreError> {
        let known = self.find(id)?;
        let incoming = self.turn_of(id, &known)?;
        let folder = unpacked_path(&incoming.folder);
        let made = self
            .disk
            .remove_folder(&folder)
            .and_then(|()| self.disk.make_folder(&folder))
            .map_err(|error| write::failed(&folder, Bytes::ZERO, &error));
        self.or_no_room(id, &incoming, made)?;
        Ok(Unpacking {
            disk: Arc::clone(&self.disk),
            folder,
            room: incoming.request.files.iter().map(|file| file.bytes.0).sum(),
            done: Vec::new(),
            open: None,
        })
    }

    /// Ends the import `id` when `result` is a full disk, and says what is missing.
    ///
    /// # Errors
    /// The one of `result`.
    pub fn unpacked<T>(&self, id: &str, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let known = self.find(id)?;
        let incoming = known.lock();
        self.or_no_room(id, &incoming, result)
    }
}

impl Unpacking {
    /// The next file begins.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a name or size that no tar of a model has, or when the one before is not whole.
    pub fn file(&mut self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.close()?;
        check_file_name(name)?;
        if self.done.len() >= MAX_FILES {
            return Err(refused(
                "the tar",
                &format!("has more than {MAX_FILES} files of a model"),
            ));
        }
        if self.done.iter().any(|file| file.name == name) {
            return Err(refused(name, "is in the tar twice"));
        }
        let rest = self.room.checked_sub(bytes.0);
        self.room = rest.ok_or_else(|| refused(name, "and the files before it are larger than the tar"))?;
        let path = self.folder.join(self.done.len().to_string());
        let file = self
            .disk
            .open(&path)
            .map_err(|error| write::failed(&path, bytes, &error))?;
        self.open = Some(Growing {
            name: name.to_owned(),
            bytes: bytes.0,
            at: 0,
            path,
            file,
            hash: Sha256::new(),
        });
        Ok(())
    }

    /// The next bytes of that file.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it is whole already or there is none, or what the disk says.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let Some(open) = &mut self.open else {
            return Err(refused("the tar", "has bytes of no file"));
        };
        let end = open
            .at
            .checked_add(bytes.len() as u64)
            .filter(|end| *end <= open.bytes);
        let end = end.ok_or_else(|| refused(&open.name, "has more bytes than the tar says"))?;
        let needed = Bytes(open.bytes - open.at);
        open.file
            .write_at(open.at, bytes)
            .map_err(|error| write::failed(&open.path, needed, &error))?;
        open.hash.update(bytes);
        open.at = end;
        Ok(())
    }

    /// Every file has come: they get the names that the store gives.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when they are no model, or what the disk says.
    pub fn finish(mut self) -> Result<(ModelKind, Vec<StoredFile>), StoreError> {
        self.close()?;
        let names: Vec<&str> = self.done.iter().map(|file| file.name.as_str()).collect();
        let (kind, stored) = stored_names(&names)?;
        for (number, name) in stored.iter().enumerate() {
            let path = self.folder.join(name);
            self.disk
                .rename(&self.folder.join(number.to_string()), &path)
                .map_err(|error| write::failed(&path, Bytes::ZERO, &error))?;
        }
        let named = self.done.into_iter().zip(stored);
        Ok((
            kind,
            named.map(|(file, name)| StoredFile { name, ..file }).collect(),
        ))
    }

    /// The open file is whole and safe.
    fn close(&mut self) -> Result<(), StoreError> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        if open.at != open.bytes {
            let why = format!("has {} of the {} bytes that the tar says", open.at, open.bytes);
            return Err(refused(&open.name, &why));
        }
        open.file
            .sync()
            .map_err(|error| write::failed(&open.path, Bytes::ZERO, &error))?;
        self.done.push(StoredFile {
            name: open.name,
            bytes: Bytes(open.bytes),
            digest: Digest(open.hash.finalize().into()),
        });
        Ok(())
    }
}

pub(super) fn unpacked_path(folder: &Path) -> PathBuf {
    folder.join("unpacked")
}
