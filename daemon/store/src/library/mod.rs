//! Models that were imported: `models/content/DIGEST` has the files of each once, `models/names/NAME.json` its manifest, and
//! `models/incoming/ID` what is on its way.
//!
//! A model is there when its manifest is, which appears and goes in one step; what no manifest leads to is removed at the next
//! start. Nothing here interprets a model's contents.

mod checking;
mod commit;
mod incoming;
mod layout;
mod receive;
pub(crate) mod space;
mod unpack;

#[cfg(test)]
mod failures;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mains_types::{Digest, Manifest, ModelKind, StoredFile};
use mains_wire::files::{MAX_MANIFEST_BYTES, read_incoming, read_manifest};
use sha2::{Digest as _, Sha256};

pub use commit::{Placed, Removed};
use incoming::UnderWay;
pub use layout::stored_names;
pub use unpack::Unpacking;

use crate::disk::Disk;
use crate::{StoreError, check_name};

/// How long an import that nobody goes on with is kept: over a weekend and a few days more.
pub const KEEP_INCOMING: Duration = Duration::from_hours(7 * 24);

/// Bytes of the state of an import at the most; as a manifest, with a path beside each file.
const MAX_STATE_BYTES: u64 = MAX_MANIFEST_BYTES;

/// The imported models of a store, and the imports that are under way.
#[derive(Debug)]
pub struct Library {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    incoming: Mutex<BTreeMap<String, Arc<UnderWay>>>,
    /// One change of names and contents at a time.
    turn: Mutex<()>,
}

impl Library {
    /// Opens the library in `folder` (a store's `models`) and clears what crashes have left: contents without a name,
    /// half-removed ones, imports that are older than [`KEEP_INCOMING`] at `now`. Says in words what was removed.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the path.
    pub fn open(
        folder: &Path,
        disk: Arc<dyn Disk>,
        now: SystemTime,
    ) -> Result<(Self, Vec<String>), StoreError> {
        let library = Self {
            folder: folder.to_owned(),
            disk,
            incoming: Mutex::default(),
            turn: Mutex::default(),
        };
        for part in [library.names(), library.contents(), library.arrivals()] {
            library
                .disk
                .make_folder(&part)
                .map_err(|error| StoreError::io("make", &part, &error))?;
        }
        let mut told = library.clear_contents()?;
        told.extend(library.clear_incoming(now)?);
        Ok((library, told))
    }

    /// The manifest of every imported model, by name.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder can not be read. A broken manifest costs itself and is among the problems.
    pub fn manifests(&self) -> Result<(BTreeMap<String, Manifest>, Vec<StoreError>), StoreError> {
        let names = self.names();
        let mut found = BTreeMap::new();
        let mut problems = Vec::new();
        for file in self
            .disk
            .list(&names)
            .map_err(|error| StoreError::io("read", &names, &error))?
        {
            let Some(name) = file.strip_suffix(".json") else {
                continue;
            };
            match self.manifest(name) {
                Ok(Some(manifest)) => drop(found.insert(name.to_owned(), manifest)),
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        Ok((found, problems))
    }

    /// The manifest of the model called `name`, if it was imported.
    ///
    /// # Errors
    /// [`StoreError`] when it can not be read or is none.
    pub fn manifest(&self, name: &str) -> Result<Option<Manifest>, StoreError> {
        check_name(name)?;
        let path = self.manifest_path(name);
        match read(&*self.disk, &path, MAX_MANIFEST_BYTES) {
            Ok(bytes) => {
                let manifest = read_manifest(&bytes).map_err(|error| error.to_string()).and_then(
                    |manifest| match checked(&manifest) {
                        Ok(()) => Ok(manifest),
                        Err(error) => Err(error.to_string()),
                    },
                );
                manifest.map(Some).map_err(|reason| StoreError::NoModel {
                    name: name.to_owned(),
                    path,
                    reason,
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", &path, &error)),
        }
    }

    /// Where the model of `manifest` is opened: its first or only GGUF file, or its folder.
    #[must_use]
    pub fn model_path(&self, manifest: &Manifest) -> PathBuf {
        let folder = self
            .contents()
            .join(content_digest(manifest.kind, &manifest.files).to_string());
        entry(&folder, manifest.kind, &manifest.files)
    }

    fn names(&self) -> PathBuf {
        self.folder.join("names")
    }

    fn contents(&self) -> PathBuf {
        self.folder.join("content")
    }

    fn arrivals(&self) -> PathBuf {
        self.folder.join("incoming")
    }

    fn manifest_path(&self, name: &str) -> PathBuf {
        self.names().join(format!("{name}.json"))
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<String, Arc<UnderWay>>> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes contents that no name leads to. A name that can not be read may lead anywhere, so that then all stay.
    fn clear_contents(&self) -> Result<Vec<String>, StoreError> {
        let (manifests, problems) = self.manifests()?;
        let used: BTreeSet<String> = manifests
            .values()
            .map(|manifest| content_digest(manifest.kind, &manifest.files).to_string())
            .collect();
        let contents = self.contents();
        let found = self
            .disk
            .list(&contents)
            .map_err(|error| StoreError::io("read", &contents, &error))?;
        let mut told = Vec::new();
        for name in found {
            let half_removed = Digest::from_hex(&name).is_none();
            if half_removed || (problems.is_empty() && !used.contains(&name)) {
                self.remove_folder(&contents.join(&name))?;
                told.push(format!("content {name} had no name any more and was removed"));
            }
        }
        for name in self
            .disk
            .list(&self.names())
            .map_err(|error| StoreError::io("read", &self.names(), &error))?
        {
            if !name.ends_with(".json") {
                let path = self.names().join(&name);
                self.disk
                    .remove_file(&path)
                    .map_err(|error| StoreError::io("remove", &path, &error))?;
                told.push(format!("{name} was half written and was removed"));
            }
        }
        Ok(told)
    }

    fn clear_incoming(&self, now: SystemTime) -> Result<Vec<String>, StoreError> {
        let arrivals = self.arrivals();
        let failed = |error| StoreError::io("read", &arrivals, &error);
        let mut told = Vec::new();
        for id in self.disk.list(&arrivals).map_err(failed)? {
            let folder = arrivals.join(&id);
            let state = state_path(&folder);
            let written = self
                .disk
                .look(&state)
                .map_err(failed)?
                .map(|(_, written)| written);
            let age = written
                .and_then(|written| now.duration_since(written).ok())
                .unwrap_or_default();
            let known = read(&*self.disk, &state, MAX_STATE_BYTES)
                .ok()
                .and_then(|bytes| read_incoming(&bytes).ok());
            let done = match &known {
                Some((request, _)) => self
                    .manifest(&request.name)
                    .is_ok_and(|manifest| manifest.is_some()),
                None => true,
            };
            if done || age > KEEP_INCOMING {
                self.remove_folder(&folder)?;
                let name = known.map_or_else(|| "a model".to_owned(), |(request, _)| request.name);
                told.push(format!("an unfinished import of {name} was removed"));
            }
        }
        Ok(told)
    }

    fn remove_folder(&self, folder: &Path) -> Result<(), StoreError> {
        self.disk
            .remove_folder(folder)
            .map_err(|error| StoreError::io("remove", folder, &error))
    }
}

/// SHA-256 of a model's files: of a line for each in order of their names, with digest, size and name.
#[must_use]
pub fn content_digest(kind: ModelKind, files: &[StoredFile]) -> Digest {
    let mut sorted: Vec<&StoredFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hash = Sha256::new();
    hash.update(format!("{}\n", kind.name()));
    for file in sorted {
        hash.update(format!("{}  {}  {}\n", file.digest, file.bytes.0, file.name));
    }
    Digest(hash.finalize().into())
}

/// The path by which a model in `folder` is opened.
fn entry(folder: &Path, kind: ModelKind, files: &[StoredFile]) -> PathBuf {
    let first = files.iter().map(|file| file.name.as_str()).min();
    match (kind, first) {
        (ModelKind::Gguf, Some(first)) => folder.join(first),
        _ => folder.to_owned(),
    }
}

/// Whether the names in a manifest are those that the store gives.
fn checked(manifest: &Manifest) -> Result<(), StoreError> {
    let names: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    let (kind, stored) = stored_names(&names)?;
    if kind == manifest.kind && stored == names {
        Ok(())
    } else {
        Err(layout::refused(
            "the manifest",
            "names files that the store does not; import the model again",
        ))
    }
}

fn state_path(folder: &Path) -> PathBuf {
    folder.join("state.json")
}

/// The bytes of a small file.
fn read(disk: &dyn Disk, path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    disk.reader(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("larger than {most} bytes")));
    }
    Ok(bytes)
}
