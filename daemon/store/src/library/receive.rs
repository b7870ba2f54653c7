//! An import's bytes: they are appended by offset, synced, and counted.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mains_contract::Bytes;
use mains_types::{Digest, ImportKind, ImportRequest, ImportState, ModelKind, StoredFile};
use mains_wire::files::{read_incoming, write_incoming};
use sha2::{Digest as _, Sha256};

use super::layout::received_names;
use super::unpack::unpacked_path;
use super::{Library, MAX_STATE_BYTES, entry, read, space, state_path};
use crate::disk::{Disk, DiskFile};
use crate::{StoreError, check_name, write};

/// Imports at once: a disk serves no more of them well.
const MOST_IMPORTS: usize = 4;

/// Bytes read at once when a file is hashed again.
const READ_BYTES: usize = 1 << 20;

/// An import that is under way.
pub(super) struct Incoming {
    pub(super) folder: PathBuf,
    pub(super) request: ImportRequest,
    names: Vec<String>,
    /// Bytes of each file that are safe.
    received: Vec<Bytes>,
    open: Vec<Arriving>,
}

/// A file as this process has written it.
#[derive(Default)]
struct Arriving {
    file: Option<Box<dyn DiskFile>>,
    at: u64,
    /// Of every byte before `at`; none when an earlier process wrote some of them.
    hash: Option<Sha256>,
}

/// An import, and what it still needs, which others may ask while it is at work.
#[derive(Debug)]
pub(super) struct UnderWay {
    incoming: Mutex<Incoming>,
    needed: AtomicU64,
}

impl UnderWay {
    fn new(incoming: Incoming) -> Self {
        Self {
            needed: AtomicU64::new(incoming.needed().0),
            incoming: Mutex::new(incoming),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, incoming: &Incoming) {
        self.needed.store(incoming.needed().0, Ordering::Relaxed);
    }

    fn needed(&self) -> Bytes {
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

impl Library {
    /// Begins an import, or goes on with one that was begun. Names of models that were not imported are the caller's to compare.
    ///
    /// # Errors
    /// [`StoreError::NoRoom`] before a byte is taken, [`StoreError::Taken`], [`StoreError::Refused`], or what the disk says.
    pub fn begin(&self, request: &ImportRequest) -> Result<ImportState, StoreError> {
        check_name(&request.name)?;
        let names = received_names(request)?;
        if self.manifest(&request.name)?.is_some() {
            return Err(taken(
                &request.name,
                "is imported already; remove it with `mains rm`, or give another --name",
            ));
        }
        let id = id_of(request);
        if let Some(state) = self.resume(&id) {
            return Ok(state);
        }
        let _turn = self.turn();
        if let Some(state) = self.resume(&id) {
            return Ok(state);
        }
        if let Some(other) = self.unfinished(&request.name)?.filter(|other| *other != id) {
            let why = format!(
                "is the name of an unfinished import of other files ({other}); finish it, or drop it with `mains rm`"
            );
            return Err(taken(&request.name, &why));
        }
        if self.under_way().len() >= MOST_IMPORTS {
            return Err(taken(
                &request.name,
                &format!("would be import {} at once; wait for one", MOST_IMPORTS + 1),
            ));
        }
        let incoming = self.incoming(&id, request, names)?;
        let pending: Bytes = self.under_way().values().map(|other| other.needed()).sum();
        if let Err(error) = self.check_room(pending + incoming.needed()) {
            // Nothing of a new one is there yet; an old one is of no use without room.
            self.remove_folder(&incoming.folder)?;
            return Err(error);
        }
        if let Err(error) = self.settle_down(&incoming) {
            // The error that counts is the first one.
            let _removed = self.disk.remove_folder(&incoming.folder);
            return Err(error);
        }
        let state = incoming.state(id.clone());
        self.under_way().insert(id, Arc::new(UnderWay::new(incoming)));
        Ok(state)
    }

    /// The state of an import that this process knows; what was not safe of it is sent again.
    fn resume(&self, id: &str) -> Option<ImportState> {
        let known = self.find(id).ok()?;
        let mut incoming = known.lock();
        incoming.rewind();
        known.note(&incoming);
        Some(incoming.state(id.to_owned()))
    }

    /// Writes `bytes` of file `number` at `offset`, where its next bytes belong. They are safe after [`Self::settle`].
    ///
    /// # Errors
    /// [`StoreError::Offset`], [`StoreError::NoImport`], or what the disk says. A full disk ends the import and removes it.
    pub fn write(&self, id: &str, number: usize, offset: Bytes, bytes: &[u8]) -> Result<(), StoreError> {
        let known = self.find(id)?;
        let mut incoming = known.lock();
        let result = incoming.write(&*self.disk, number, offset, bytes);
        known.note(&incoming);
        self.or_no_room(id, &incoming, result)
    }

    /// Makes safe what was written of file `number`, and tells how much of it is.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn settle(&self, id: &str, number: usize) -> Result<Bytes, StoreError> {
        let known = self.find(id)?;
        let mut incoming = known.lock();
        let result = incoming
            .settle(&*self.disk, number)
            // Others use the disk too: what is still to come must still fit.
            .and_then(|received| self.check_room(incoming.needed()).map(|()| received));
        self.or_no_room(id, &incoming, result)
    }

    /// Compares every file with the digest that it is to have. `beat` hears bytes done and all bytes. A file that differs starts
    /// again from its first byte.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the file; or what the disk says.
    pub fn check(
        &self,
        id: &str,
        digests: &[Digest],
        beat: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<Vec<StoredFile>, StoreError> {
        let known = self.find(id)?;
        let mut incoming = known.lock();
        let result = incoming.check(&*self.disk, digests, beat);
        known.note(&incoming);
        result
    }

    /// The request of an import.
    ///
    /// # Errors
    /// [`StoreError::NoImport`].
    pub fn request(&self, id: &str) -> Result<ImportRequest, StoreError> {
        Ok(self.find(id)?.lock().request.clone())
    }

    /// Where the model of an import is opened until it is in the catalogue.
    ///
    /// # Errors
    /// [`StoreError::NoImport`].
    pub fn incoming_path(
        &self,
        id: &str,
        kind: ModelKind,
        files: &[StoredFile],
    ) -> Result<PathBuf, StoreError> {
        let known = self.find(id)?;
        let folder = known.lock().model_folder();
        Ok(entry(&folder, kind, files))
    }

    /// Drops an import with everything that arrived.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the path.
    pub fn discard(&self, id: &str) -> Result<(), StoreError> {
        self.under_way().remove(id);
        self.remove_folder(&self.arrivals().join(id))
    }

    /// The id of the unfinished import of `name`, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder can not be read.
    pub fn unfinished(&self, name: &str) -> Result<Option<String>, StoreError> {
        let arrivals = self.arrivals();
        let ids = self.disk.list(&arrivals);
        let ids = ids.map_err(|error| StoreError::io("read", &arrivals, &error))?;
        let is_of = |id: &String| {
            let bytes = read(&*self.disk, &state_path(&arrivals.join(id)), MAX_STATE_BYTES);
            let known = bytes.ok().and_then(|bytes| read_incoming(&bytes).ok());
            known.is_some_and(|(request, _)| request.name == name)
        };
        Ok(ids.into_iter().find(is_of))
    }

    pub(super) fn find(&self, id: &str) -> Result<Arc<UnderWay>, StoreError> {
        let found = self.under_way().get(id).cloned();
        found.ok_or_else(|| StoreError::NoImport { id: id.to_owned() })
    }

    /// An import as the disk has it.
    fn incoming(
        &self,
        id: &str,
        request: &ImportRequest,
        names: Vec<String>,
    ) -> Result<Incoming, StoreError> {
        let folder = self.arrivals().join(id);
        let kept = read(&*self.disk, &state_path(&folder), MAX_STATE_BYTES)
            .ok()
            .and_then(|bytes| read_incoming(&bytes).ok())
            .filter(|(kept, _)| kept.files == request.files);
        let mut received = kept.map_or_else(|| vec![Bytes::ZERO; names.len()], |(_, received)| received);
        for (name, safe) in names.iter().zip(&mut received) {
            let path = files_path(&folder).join(name);
            let found = self
                .disk
                .look(&path)
                .map_err(|error| StoreError::io("read", &path, &error))?;
            // A file that is shorter than its state says was not written by us.
            *safe = found
                .filter(|(bytes, _)| bytes >= safe)
                .map_or(Bytes::ZERO, |_| *safe);
        }
        let open = received.iter().map(|safe| Arriving::at(*safe)).collect();
        Ok(Incoming {
            folder,
            request: request.clone(),
            names,
            received,
            open,
        })
    }

    /// Makes the folders of an import and writes its state.
    fn settle_down(&self, incoming: &Incoming) -> Result<(), StoreError> {
        let files = files_path(&incoming.folder);
        self.disk
            .make_folder(&files)
            .and_then(|()| self.disk.sync_folder(&self.arrivals()))
            .map_err(|error| write::failed(&files, incoming.needed(), &error))?;
        incoming.save(&*self.disk)
    }

    fn check_room(&self, needed: Bytes) -> Result<(), StoreError> {
        let space = self.disk.space(&self.folder);
        let space = space.map_err(|error| StoreError::io("measure", &self.folder, &error))?;
        match space::missing(space, needed) {
            None => Ok(()),
            Some(missing) => Err(StoreError::NoRoom {
                path: self.folder.clone(),
                needed,
                missing,
            }),
        }
    }

    /// `result`; when the disk is full, the import is gone and the error says how much is missing.
    pub(super) fn or_no_room<T>(
        &self,
        id: &str,
        incoming: &Incoming,
        result: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let error = match result {
            Err(error @ (StoreError::DiskFull { .. } | StoreError::NoRoom { .. })) => error,
            other => return other,
        };
        let needed = incoming.needed();
        let error = self.check_room(needed).err().unwrap_or(error);
        self.under_way().remove(id);
        self.remove_folder(&incoming.folder)?;
        Err(error)
    }
}

impl Incoming {
    /// Bytes that are still to come and, for a tar, all that is to be unpacked of it.
    fn needed(&self) -> Bytes {
        let total: Bytes = self.request.files.iter().map(|file| file.bytes).sum();
        let received: Bytes = self.open.iter().map(|open| Bytes(open.at)).sum();
        let rest = total.checked_sub(received).unwrap_or(Bytes::ZERO);
        match self.request.kind {
            ImportKind::Tar => rest + total,
            ImportKind::Files(_) => rest,
        }
    }

    fn state(&self, id: String) -> ImportState {
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
    fn rewind(&mut self) {
        for (open, safe) in self.open.iter_mut().zip(&self.received) {
            if open.at != safe.0 {
                *open = Arriving::at(*safe);
            }
        }
    }

    fn write(
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

    fn settle(&mut self, disk: &dyn Disk, number: usize) -> Result<Bytes, StoreError> {
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
        file.ok_or_else(|| {
            super::layout::refused(&format!("file {number}"), &format!("is not one of {count}"))
        })
    }

    fn save(&self, disk: &dyn Disk) -> Result<(), StoreError> {
        let state = write_incoming(&self.request, &self.received);
        write::write_whole_on(disk, &state_path(&self.folder), &state)
    }

    fn check(
        &mut self,
        disk: &dyn Disk,
        digests: &[Digest],
        beat: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<Vec<StoredFile>, StoreError> {
        if digests.len() != self.request.files.len() {
            return Err(super::layout::refused(
                "the list of digests",
                "is not one for each file",
            ));
        }
        let total: Bytes = self.request.files.iter().map(|file| file.bytes).sum();
        let mut done = Bytes::ZERO;
        let mut stored = Vec::with_capacity(digests.len());
        for (number, wanted) in digests.iter().enumerate() {
            let file = &self.request.files[number];
            let (name, bytes) = (file.name.clone(), file.bytes);
            if self.received[number] != bytes {
                let why = format!("{} of {} are there", self.received[number], bytes);
                return Err(StoreError::Damaged { file: name, why });
            }
            let digest = self.digest(disk, number, &mut |read| beat(done + read, total))?;
            if digest != *wanted {
                self.received[number] = Bytes::ZERO;
                self.open[number] = Arriving::at(Bytes::ZERO);
                self.save(disk)?;
                let why = format!("its SHA-256 is {digest} here and {wanted} there");
                return Err(StoreError::Damaged { file: name, why });
            }
            done += bytes;
            beat(done, total);
            stored.push(StoredFile {
                name: self.names[number].clone(),
                bytes,
                digest,
            });
        }
        Ok(stored)
    }

    /// The digest of a whole file: known where this process has written all of it, read otherwise.
    fn digest(
        &self,
        disk: &dyn Disk,
        number: usize,
        beat: &mut dyn FnMut(Bytes),
    ) -> Result<Digest, StoreError> {
        if let Some(hash) = &self.open[number].hash {
            return Ok(Digest(hash.clone().finalize().into()));
        }
        let path = self.path(number);
        let failed = |error: io::Error| StoreError::io("read", &path, &error);
        let mut reader = disk.reader(&path).map_err(failed)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut read = Bytes::ZERO;
        loop {
            match reader.read(&mut buffer).map_err(failed)? {
                0 => return Ok(Digest(hash.finalize().into())),
                count => {
                    hash.update(&buffer[..count]);
                    read += Bytes::from(count);
                    beat(read);
                }
            }
        }
    }
}

impl Arriving {
    fn at(safe: Bytes) -> Self {
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

/// What an import is called: the same request has the same name.
fn id_of(request: &ImportRequest) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{}\n{}\n", request.name, request.kind.name()));
    for file in &request.files {
        hash.update(format!("{}  {}  {}\n", file.head, file.bytes.0, file.name));
    }
    Digest(hash.finalize().into()).to_string()[..32].to_owned()
}

pub(super) fn files_path(folder: &Path) -> PathBuf {
    folder.join("files")
}

fn taken(name: &str, why: &str) -> StoreError {
    StoreError::Taken {
        name: name.to_owned(),
        why: why.to_owned(),
    }
}
