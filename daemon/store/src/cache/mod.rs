//! Files that are made of models and can be made again: variants, and weights packed for a driver.
//!
//! They have a budget of bytes on disk; what was used longest ago goes first, and what is in use never. A file is there whole or not
//! at all, with a record beside it by which it is known again: its size and the digest of its head.

mod evict;
mod new_file;
mod stamp;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use mains_contract::Bytes;

use crate::StoreError;
use crate::disk::{Disk, SystemDisk};
use crate::library::space::missing;
use evict::{Entry, victims};
pub use new_file::NewFile;
pub use stamp::Stamp;

/// Share of the disk, one in so many, that the files may take where nobody says: models themselves need the rest.
const DEFAULT_SHARE: u64 = 4;

/// What names of files begin with that are not whole yet.
const UNFINISHED: &str = ".making-";

/// What the name of a record ends with.
const RECORD: &str = "json";

/// The files of one state folder that are made of models.
#[derive(Debug)]
pub struct Cache {
    folders: [PathBuf; 2],
    budget: Mutex<Option<u64>>,
    /// Room is made for one file at a time.
    making_room: Mutex<()>,
}

impl Cache {
    /// The files below `state_dir`, which may take `budget` bytes; a quarter of the disk where none is given. What a crash left
    /// unfinished is removed. Reads and writes the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the path.
    pub fn open(state_dir: &Path, budget: Option<u64>) -> Result<Self, StoreError> {
        let models = state_dir.join("models");
        let folders = ["variants", "packed"].map(|name| models.join(name));
        for folder in &folders {
            let failed = |error: io::Error| StoreError::io("make", folder, &error);
            fs::create_dir_all(folder).map_err(failed)?;
            clean(folder).map_err(failed)?;
        }
        Ok(Self {
            folders,
            budget: Mutex::new(budget),
            making_room: Mutex::default(),
        })
    }

    /// The files may take `budget` bytes from now on, see [`Cache::open`]. Those that are there stay until room is wanted.
    pub fn set_budget(&self, budget: Option<u64>) {
        *self.budget.lock().unwrap_or_else(PoisonError::into_inner) = budget;
    }

    /// Where the record of the file at `path` is.
    #[must_use]
    pub fn record(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(RECORD);
        name.into()
    }

    /// Records of variants, with what they say, the last used first.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder can not be read; a record that can not be is left out.
    pub fn variants(&self) -> Result<Vec<(PathBuf, Vec<u8>)>, StoreError> {
        let mut entries = self.entries(&self.folders[0])?;
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        let whole = entries.into_iter().filter(|entry| !entry.unfinished);
        Ok(whole
            .filter_map(|entry| {
                let record = fs::read(Self::record(&entry.path)).ok()?;
                Some((entry.path, record))
            })
            .collect())
    }

    /// Every whole file that was made of a model: its path, its bytes and what its record says.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a folder can not be read; a file without a record is left out.
    pub fn made(&self) -> Result<Vec<(PathBuf, Bytes, Vec<u8>)>, StoreError> {
        let mut made = Vec::new();
        for folder in &self.folders {
            let whole = self
                .entries(folder)?
                .into_iter()
                .filter(|entry| !entry.unfinished);
            made.extend(whole.filter_map(|entry| {
                let record = fs::read(Self::record(&entry.path)).ok()?;
                Some((entry.path, Bytes(entry.bytes), record))
            }));
        }
        made.sort();
        Ok(made)
    }

    /// Says that the file at `path` is used now: it goes last.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it is not there.
    pub fn touch(&self, path: &Path) -> Result<(), StoreError> {
        let touched = File::options().append(true).open(Self::record(path));
        let touched = touched.and_then(|record| record.set_modified(SystemTime::now()));
        touched.map_err(|error| StoreError::io("touch", path, &error))
    }

    /// Removes the file at `path` and its record.
    ///
    /// # Errors
    /// [`StoreError::Io`]; what is not there is removed.
    pub fn remove(&self, path: &Path) -> Result<(), StoreError> {
        for path in [path, &Self::record(path)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Begins the file of `bytes` at `path`, in one of the folders. Files that are not `in_use` are removed for it, those used
    /// longest ago first; they are returned.
    ///
    /// # Errors
    /// [`StoreError::Budget`] or [`StoreError::DiskFull`] when it has no room, and says how much is missing.
    pub fn begin(
        &self,
        path: &Path,
        bytes: u64,
        in_use: &HashSet<PathBuf>,
    ) -> Result<(NewFile, Vec<PathBuf>), StoreError> {
        let _turn = self.making_room.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = self.make_room(path, bytes, in_use)?;
        // Its room is taken when it is made, so that whoever comes next sees what is left.
        Ok((NewFile::create(path, bytes)?, removed))
    }

    fn make_room(
        &self,
        path: &Path,
        bytes: u64,
        in_use: &HashSet<PathBuf>,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let mut entries = Vec::new();
        for folder in &self.folders {
            entries.extend(self.entries(folder)?);
        }
        let folder = &self.folders[0];
        let space = SystemDisk.space(folder);
        let space = space.map_err(|error| StoreError::io("read", folder, &error))?;
        let budget = *self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = budget.unwrap_or(space.total.0 / DEFAULT_SHARE);
        let taken: u64 = entries.iter().map(|entry| entry.bytes).sum();
        let beyond_budget = taken.saturating_add(bytes).saturating_sub(budget);
        let beyond_disk = missing(space, Bytes(bytes)).map_or(0, |missing| missing.0);
        let freed = victims(&entries, in_use, beyond_budget.max(beyond_disk)).map_err(|missing| {
            if beyond_budget > beyond_disk {
                StoreError::Budget {
                    path: path.to_owned(),
                    bytes: Bytes(bytes),
                    budget: Bytes(budget),
                    missing: Bytes(missing),
                }
            } else {
                StoreError::NoRoom {
                    path: folder.clone(),
                    needed: Bytes(bytes),
                    missing: Bytes(missing),
                }
            }
        })?;
        for victim in &freed {
            self.remove(victim)?;
        }
        Ok(freed)
    }

    fn entries(&self, folder: &Path) -> Result<Vec<Entry>, StoreError> {
        let failed = |error: io::Error| StoreError::io("read", folder, &error);
        let mut entries = Vec::new();
        for file in fs::read_dir(folder).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            // One that is gone by now takes no room.
            let Ok(found) = fs::metadata(&path) else { continue };
            if !found.is_file() || is_record(&path) {
                continue;
            }
            let record = fs::metadata(Self::record(&path)).ok();
            let used = record.as_ref().unwrap_or(&found).modified();
            entries.push(Entry {
                bytes: found.len(),
                used: used.unwrap_or(SystemTime::UNIX_EPOCH),
                unfinished: is_unfinished(&path),
                path,
            });
        }
        Ok(entries)
    }
}

fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().map(std::ffi::OsStr::to_string_lossy);
    name.is_some_and(|name| name.starts_with(UNFINISHED))
}

fn is_record(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == RECORD)
}

/// Removes files that were never finished, and records whose files are gone.
fn clean(folder: &Path) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let of_nothing = is_record(&path) && !path.with_extension("").exists();
        // A record in the writing, see `write_whole`.
        let half = path
            .extension()
            .is_some_and(|extension| extension.as_encoded_bytes().starts_with(b"tmp"));
        if is_unfinished(&path) || of_nothing || half {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
