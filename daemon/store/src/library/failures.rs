//! A disk of which any call can fail, and that can lose what was not synced.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use mains_contract::Bytes;

use crate::disk::{Disk, DiskFile, Space, SystemDisk};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// One call fails with this.
    Once(io::ErrorKind),
    /// From that call on nothing is done any more: the process was killed there.
    Killed,
    /// The same, and what was not synced is lost.
    PowerCut,
}

/// A change that a power cut undoes, until its folder is synced.
#[derive(Debug)]
enum Change {
    Renamed {
        from: PathBuf,
        to: PathBuf,
        /// The file that was in its place.
        before: Option<Vec<u8>>,
    },
    Removed {
        path: PathBuf,
        bytes: Vec<u8>,
    },
}

#[derive(Debug, Default)]
struct State {
    calls: usize,
    fault: Option<(usize, Fault)>,
    /// Bytes of each written file that are safe.
    safe: BTreeMap<PathBuf, u64>,
    changes: Vec<Change>,
}

/// The system's disk with a fault in it.
#[derive(Debug, Clone, Default)]
pub(super) struct FaultyDisk(Arc<Mutex<State>>);

impl FaultyDisk {
    /// The `number`th call from now, from 0, has the fault.
    pub(super) fn arm(&self, number: usize, fault: Fault) {
        let mut state = self.0.lock().unwrap();
        state.fault = Some((state.calls + number, fault));
    }

    /// No more faults.
    pub(super) fn disarm(&self) {
        self.0.lock().unwrap().fault = None;
    }

    pub(super) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    /// Undoes what was not synced, the newest first.
    pub(super) fn lose_unsynced(&self) {
        let mut state = self.0.lock().unwrap();
        for change in std::mem::take(&mut state.changes).into_iter().rev() {
            match change {
                Change::Renamed { from, to, before } => {
                    std::fs::rename(&to, &from).unwrap();
                    if let Some(before) = before {
                        std::fs::write(&to, before).unwrap();
                    }
                }
                Change::Removed { path, bytes } => std::fs::write(&path, bytes).unwrap(),
            }
        }
        for (path, safe) in std::mem::take(&mut state.safe) {
            // A file may be gone with its folder.
            if let Ok(file) = std::fs::OpenOptions::new().write(true).open(&path) {
                file.set_len(safe).unwrap();
            }
        }
    }

    fn call(&self) -> io::Result<()> {
        self.call_or(|| Ok(()))
    }

    /// Counts a call. Where it is the one that fails, `half` does a part of it.
    fn call_or(&self, half: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let call = state.calls;
        state.calls += 1;
        let Some((at, fault)) = state.fault else {
            return Ok(());
        };
        drop(state);
        if call == at {
            half()?;
        }
        match fault {
            Fault::Once(kind) if call == at => Err(kind.into()),
            Fault::Killed | Fault::PowerCut if call >= at => Err(io::Error::other("the process is dead")),
            _ => Ok(()),
        }
    }

    /// Names below `folder` can not come back.
    fn forget(&self, folder: &Path) {
        self.0.lock().unwrap().changes.retain(|change| match change {
            Change::Renamed { to, .. } => !to.starts_with(folder),
            Change::Removed { path, .. } => !path.starts_with(folder),
        });
    }
}

impl Disk for FaultyDisk {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        SystemDisk.make_folder(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.call()?;
        let file = SystemDisk.open(path)?;
        Ok(Box::new(FaultyFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        }))
    }

    fn reader(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.call()?;
        SystemDisk.reader(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.call()?;
        SystemDisk.list(folder)
    }

    fn look(&self, path: &Path) -> io::Result<Option<(Bytes, SystemTime)>> {
        self.call()?;
        SystemDisk.look(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        let before = std::fs::read(to).ok();
        SystemDisk.rename(from, to)?;
        let mut state = self.0.lock().unwrap();
        if let Some(safe) = state.safe.remove(from) {
            state.safe.insert(to.to_owned(), safe);
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        state.changes.push(Change::Renamed { from, to, before });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        let bytes = std::fs::read(path)?;
        SystemDisk.remove_file(path)?;
        let mut state = self.0.lock().unwrap();
        state.safe.remove(path);
        let path = path.to_owned();
        state.changes.push(Change::Removed { path, bytes });
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.call_or(|| match first_file(path) {
            Some(file) => {
                self.forget(&file);
                std::fs::remove_file(file)
            }
            None => Ok(()),
        })?;
        self.forget(path);
        SystemDisk.remove_folder(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.call()?;
        let mut state = self.0.lock().unwrap();
        state.changes.retain(|change| match change {
            Change::Renamed { to, .. } => to.parent() != Some(folder),
            Change::Removed { path, .. } => path.parent() != Some(folder),
        });
        // What is safe is counted here; waiting for a real disk would only take time.
        std::fs::read_dir(folder).map(drop)
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        self.call()?;
        // The machine's own disk is of no matter here.
        Ok(Space {
            free: Bytes::from_mib(900),
            total: Bytes::from_mib(1000),
        })
    }
}

/// Some file at `path` or below it.
fn first_file(path: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(path).ok()?;
    entries.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            first_file(&path)
        } else {
            Some(path)
        }
    })
}

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl DiskFile for FaultyFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let half = &bytes[..bytes.len() / 2];
        self.disk.call_or(|| self.file.write_at(offset, half))?;
        let mut state = self.disk.0.lock().unwrap();
        state.safe.entry(self.path.clone()).or_insert(offset);
        self.file.write_at(offset, bytes)
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.call()?;
        self.file.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.call()?;
        self.disk.0.lock().unwrap().safe.remove(&self.path);
        Ok(())
    }
}
