//! What models' files say, as inspect workers read them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mains_store::Identity;
use mains_types::{Digest, ModelFacts, model_files};
use mains_wire::frames::{FromWorker, ToWorker};
use tokio::sync::OnceCell;

use crate::digests::Digests;
use crate::link::{LinkError, ask, name};
use crate::{Limits, Role, Spawn, SupervisorError};

/// What an inspection may take beside the reading of all bytes.
const INSPECT_TIME: Duration = Duration::from_mins(10);

/// Bytes a second that are read at the least for a digest: a disk that others use too.
const SLOWEST_BYTES_PER_S: u64 = 50_000_000;

type Cell = Arc<OnceCell<Arc<ModelFacts>>>;

/// Facts by path, each for one state of its files.
pub(crate) struct Inspector {
    spawn: Arc<dyn Spawn>,
    digests: Digests,
    known: Mutex<HashMap<PathBuf, (Identity, Cell)>>,
}

impl Inspector {
    /// Digests are kept below `state_dir`.
    pub(crate) fn new(spawn: Arc<dyn Spawn>, state_dir: &Path) -> Self {
        Self {
            spawn,
            digests: Digests::open(state_dir),
            known: Mutex::new(HashMap::new()),
        }
    }

    /// The facts of the files at `path` as they are now. Callers that come together share one worker.
    pub(crate) async fn facts(&self, path: &Path) -> Result<Arc<ModelFacts>, SupervisorError> {
        let (identity, cell) = self.cell(path)?;
        let read = || async { self.read(path, &identity).await.map(Arc::new) };
        cell.get_or_try_init(read).await.cloned()
    }

    /// What is known of the files at `from` is known of them at `to`, their new place.
    pub(crate) fn moved(&self, from: &Path, to: &Path) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, cell)) = known.remove(from)
            && Identity::of(to).is_ok_and(|now| now == before)
        {
            if let Some(facts) = cell.get() {
                self.keep(to, &before, facts.digest);
            }
            known.insert(to.to_owned(), (before, cell));
        }
    }

    fn cell(&self, path: &Path) -> Result<(Identity, Cell), SupervisorError> {
        let identity = Identity::of(path)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(path) {
            Some((same, cell)) if *same == identity => Ok((identity, Arc::clone(cell))),
            _ => {
                let cell = Cell::default();
                known.insert(path.to_owned(), (identity.clone(), Arc::clone(&cell)));
                Ok((identity, cell))
            }
        }
    }

    async fn read(&self, path: &Path, identity: &Identity) -> Result<ModelFacts, SupervisorError> {
        let digest = self.digests.of(path, identity);
        let limits = Limits {
            readable: model_files(path),
            memory: None,
        };
        let question = ToWorker::Inspect {
            path: path.to_owned(),
            drivers: Vec::new(),
            digest,
        };
        let reading = Duration::from_secs(identity.bytes().0 / SLOWEST_BYTES_PER_S);
        let time = INSPECT_TIME + reading;
        match ask(&*self.spawn, Role::Inspect, limits, question, time).await {
            Ok(FromWorker::Facts(mut facts)) => {
                // Whatever the worker says of a digest that it was told.
                facts.digest = digest.unwrap_or(facts.digest);
                if Identity::of(path).is_ok_and(|now| now == *identity) {
                    self.keep(path, identity, facts.digest);
                }
                Ok(*facts)
            }
            Ok(other) => Err(LinkError::Unexpected(name(&other)).of(Role::Inspect)),
            Err(error) => Err(error.of(Role::Inspect)),
        }
    }

    fn keep(&self, path: &Path, identity: &Identity, digest: Digest) {
        if let Err(error) = self.digests.keep(path, identity, digest) {
            tracing::warn!(%error, "the digest of a model is not kept; the next start reads its files again");
        }
    }
}
