//! An import's bytes: they are appended by offset, synced, and counted.

use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};

use mains_contract::Bytes;
use mains_types::{Digest, ImportRequest, ImportState, ModelKind, StoredFile};
use mains_wire::files::read_incoming;
use sha2::{Digest as _, Sha256};

use super::incoming::{Arriving, Incoming, UnderWay, files_path};
use super::layout::received_names;
use super::{Library, MAX_STATE_BYTES, entry, read, space, state_path};
use crate::{StoreError, check_name, write};

/// Imports at once: a disk serves no more of them well.
const MOST_IMPORTS: usize = 4;

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
        let mut incoming = self.turn_of(id, &known)?;
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
        let mut incoming = self.turn_of(id, &known)?;
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
        let mut incoming = self.turn_of(id, &known)?;
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

    /// Drops an import with everything that arrived. Whoever sends to it hears [`StoreError::NoImport`] from now on.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the path.
    pub fn discard(&self, id: &str) -> Result<(), StoreError> {
        let known = self.under_way().remove(id);
        // What is being written is written to its end first: it would make files in a folder that goes.
        let mut incoming = known.as_ref().map(|known| known.lock());
        if let Some(incoming) = &mut incoming {
            incoming.dropped = true;
        }
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

    /// The import `id`, for whoever changes it now.
    pub(super) fn turn_of<'a>(
        &self,
        id: &str,
        known: &'a UnderWay,
    ) -> Result<MutexGuard<'a, Incoming>, StoreError> {
        let incoming = known.lock();
        if incoming.dropped {
            return Err(StoreError::NoImport { id: id.to_owned() });
        }
        Ok(incoming)
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
            dropped: false,
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

/// What an import is called: the same request has the same name.
fn id_of(request: &ImportRequest) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{}\n{}\n", request.name, request.kind.name()));
    for file in &request.files {
        hash.update(format!("{}  {}  {}\n", file.head, file.bytes.0, file.name));
    }
    Digest(hash.finalize().into()).to_string()[..32].to_owned()
}

fn taken(name: &str, why: &str) -> StoreError {
    StoreError::Taken {
        name: name.to_owned(),
        why: why.to_owned(),
    }
}
