//! Files on disk and who needs them: what is held is never removed to make room.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mains_contract::Bytes;
use mains_store::{Cache, Identity, NewFile, Stamp, StoreError, digest_of};
use mains_types::Digest;
use mains_wire::files::read_record;
use tokio::sync::watch;

use crate::SupervisorError;

/// The cache, how often each of its files is held, of which models files are being made, and which files were read whole since the
/// daemon started.
#[derive(Clone)]
pub(crate) struct Shelf {
    cache: Arc<Cache>,
    held: Arc<Mutex<HashMap<PathBuf, usize>>>,
    making: watch::Sender<HashMap<Digest, usize>>,
    verified: Arc<Mutex<HashSet<PathBuf>>>,
}

/// A file that stays until this is dropped.
pub(crate) struct Held {
    held: Arc<Mutex<HashMap<PathBuf, usize>>>,
    path: PathBuf,
}

/// A file of a model that is in the making until this is dropped.
pub(crate) struct Begun {
    making: watch::Sender<HashMap<Digest, usize>>,
    model: Digest,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.making.send_modify(|making| {
            if let Some(count) = making.get_mut(&self.model) {
                *count -= 1;
                if *count == 0 {
                    making.remove(&self.model);
                }
            }
        });
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.path) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.path);
            }
        }
    }
}

impl Shelf {
    pub(crate) fn new(cache: Cache) -> Self {
        Self {
            cache: Arc::new(cache),
            held: Arc::default(),
            making: watch::Sender::default(),
            verified: Arc::default(),
        }
    }

    /// Files may take `bytes` from now on.
    pub(crate) fn set_budget(&self, bytes: Option<u64>) {
        self.cache.set_budget(bytes);
    }

    fn all_held(&self) -> MutexGuard<'_, HashMap<PathBuf, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, path: PathBuf) -> Held {
        *self.all_held().entry(path.clone()).or_default() += 1;
        Held {
            held: Arc::clone(&self.held),
            path,
        }
    }

    /// The file at `path`, held, when it is there and is what its record says; one that is damaged is removed. Without a record
    /// it was put there by hand, and counts unless it `needs_record`.
    pub(crate) async fn take(&self, path: PathBuf, needs_record: bool) -> Option<Held> {
        let shelf = self.clone();
        let taken = tokio::task::spawn_blocking(move || shelf.take_now(path, needs_record)).await;
        taken.ok().flatten()
    }

    fn take_now(&self, path: PathBuf, needs_record: bool) -> Option<Held> {
        let held = self.hold(path.clone());
        let found = Stamp::of(&path).ok()?;
        let Ok(record) = std::fs::read(Cache::record(&path)) else {
            return (!needs_record).then_some(held);
        };
        let whole = read_record(&record).is_ok_and(|record| {
            let recorded = Stamp {
                bytes: record.bytes,
                head: record.head,
            };
            recorded == found
        });
        if whole {
            if let Err(error) = self.cache.touch(&path) {
                tracing::warn!(%error, "it is not told that a file is used, and may be removed before others");
            }
            return Some(held);
        }
        tracing::warn!(path = %path.display(), "a file that was made of a model is damaged, and is removed");
        self.remove_now(&path);
        None
    }

    /// Removes the file at `path`, whoever holds it.
    pub(crate) async fn remove(&self, path: PathBuf) {
        let shelf = self.clone();
        // A panic in there is in the log.
        let _removed = tokio::task::spawn_blocking(move || shelf.remove_now(&path)).await;
    }

    /// What was made of `model`: paths and bytes.
    pub(crate) async fn of_model(&self, model: Digest) -> Result<Vec<(PathBuf, Bytes)>, SupervisorError> {
        let cache = Arc::clone(&self.cache);
        let made = tokio::task::spawn_blocking(move || cache.made()).await;
        let made = made.map_err(|_| SupervisorError::ShuttingDown)??;
        let is_of = |record: &[u8]| read_record(record).is_ok_and(|record| record.model == model);
        let of_model = made.into_iter().filter(|(.., record)| is_of(record));
        Ok(of_model.map(|(path, bytes, _)| (path, bytes)).collect())
    }

    /// A file of `model` is being made.
    pub(super) fn making(&self, model: Digest) -> Begun {
        self.making
            .send_modify(|making| *making.entry(model).or_default() += 1);
        Begun {
            making: self.making.clone(),
            model,
        }
    }

    /// Waits until no file of `model` is in the making.
    pub(crate) async fn finished(&self, model: Digest) {
        let mut making = self.making.subscribe();
        // The sender is here.
        let _open = making.wait_for(|making| !making.contains_key(&model)).await;
    }

    /// Whether the file at `path` is all that its record says, to its last byte. It is read once while the daemon runs; one that is
    /// damaged is removed.
    pub(crate) async fn is_whole(&self, path: PathBuf) -> bool {
        let shelf = self.clone();
        let read = tokio::task::spawn_blocking(move || shelf.is_whole_now(&path));
        read.await.unwrap_or(true)
    }

    fn is_whole_now(&self, path: &Path) -> bool {
        if self.all_verified().contains(path) {
            return true;
        }
        let Ok(before) = Identity::of(path) else {
            return false;
        };
        let record = std::fs::read(Cache::record(path)).ok();
        let expected = record.and_then(|record| read_record(&record).ok()?.sha256);
        let found = digest_of(path);
        if expected.is_none() || found.as_ref().is_ok_and(|found| *found == expected) {
            // One without a digest was put there by hand.
            self.verified(path.to_owned());
            return true;
        }
        // Another one may have come in its place meanwhile.
        if Identity::of(path).is_ok_and(|now| now != before) {
            return true;
        }
        tracing::error!(path = %path.display(), "a file that was made of a model is damaged beyond its head, and is removed: look after the disk");
        self.remove_now(path);
        false
    }

    /// The file at `path` was read or written whole.
    pub(super) fn verified(&self, path: PathBuf) {
        self.all_verified().insert(path);
    }

    fn all_verified(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove_now(&self, path: &Path) {
        self.all_verified().remove(path);
        if let Err(error) = self.cache.remove(path) {
            tracing::warn!(%error, "a file that was made of a model can not be removed");
        }
    }

    /// Begins the file of `bytes` at `path` and holds it. Blocks.
    pub(super) fn begin(&self, path: PathBuf, bytes: u64) -> Result<(NewFile, Held), StoreError> {
        let held = self.hold(path.clone());
        // Locked until what goes is gone: nobody takes it meanwhile.
        let all_held = self.all_held();
        let in_use = all_held.keys().cloned().collect();
        let (file, removed) = self.cache.begin(&path, bytes, &in_use)?;
        drop(all_held);
        for removed in removed {
            self.all_verified().remove(&removed);
            tracing::info!(path = %removed.display(), "removed to make room for {}", path.display());
        }
        Ok((file, held))
    }

    /// The weights on disk that `digest` is of, or of a plan with.
    pub(crate) async fn weights(&self, digest: Digest) -> Result<Option<Digest>, SupervisorError> {
        let cache = Arc::clone(&self.cache);
        let found = tokio::task::spawn_blocking(move || cache.variants()).await;
        let found = found.map_err(|_| SupervisorError::ShuttingDown)??;
        let names = found.iter().filter_map(|(path, _)| path.file_stem()?.to_str());
        let mut weights = names.filter_map(Digest::from_hex);
        Ok(weights.find(|weights| *weights == digest || mains_planner::is_variant_of(&digest, weights)))
    }

    /// What the records of all variants say, the last used first.
    pub(super) async fn records(&self) -> Result<Vec<Vec<u8>>, SupervisorError> {
        let cache = Arc::clone(&self.cache);
        let read = tokio::task::spawn_blocking(move || cache.variants()).await;
        let records = read.map_err(|_| SupervisorError::ShuttingDown)??;
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }
}
