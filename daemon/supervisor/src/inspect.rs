//! What models' files say, as inspect workers read them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mains_store::Identity;
use mains_types::{ModelFacts, model_files};
use mains_wire::frames::{FromWorker, ToWorker};
use tokio::sync::OnceCell;

use crate::link::{LinkError, ask, name};
use crate::{Limits, Role, Spawn, SupervisorError};

/// A digest of 256 GiB at 500 MB/s takes 550 s.
const INSPECT_TIME: Duration = Duration::from_mins(10);

type Cell = Arc<OnceCell<Arc<ModelFacts>>>;

/// Facts by path, each for one state of its files.
pub(crate) struct Inspector {
    spawn: Arc<dyn Spawn>,
    known: Mutex<HashMap<PathBuf, (Identity, Cell)>>,
}

impl Inspector {
    pub(crate) fn new(spawn: Arc<dyn Spawn>) -> Self {
        Self {
            spawn,
            known: Mutex::new(HashMap::new()),
        }
    }

    /// The facts of the files at `path` as they are now. Callers that come together share one worker.
    pub(crate) async fn facts(&self, path: &Path) -> Result<Arc<ModelFacts>, SupervisorError> {
        let cell = self.cell(path)?;
        let read = || async { self.read(path).await.map(Arc::new) };
        cell.get_or_try_init(read).await.cloned()
    }

    /// What is known of the files at `from` is known of them at `to`, their new place.
    pub(crate) fn moved(&self, from: &Path, to: &Path) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, cell)) = known.remove(from)
            && Identity::of(to).is_ok_and(|now| now == before)
        {
            known.insert(to.to_owned(), (before, cell));
        }
    }

    fn cell(&self, path: &Path) -> Result<Cell, SupervisorError> {
        let identity = Identity::of(path)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(path) {
            Some((same, cell)) if *same == identity => Ok(Arc::clone(cell)),
            _ => {
                let cell = Cell::default();
                known.insert(path.to_owned(), (identity, Arc::clone(&cell)));
                Ok(cell)
            }
        }
    }

    async fn read(&self, path: &Path) -> Result<ModelFacts, SupervisorError> {
        let limits = Limits {
            readable: model_files(path),
            memory: None,
        };
        let question = ToWorker::Inspect {
            path: path.to_owned(),
            drivers: Vec::new(),
        };
        match ask(&*self.spawn, Role::Inspect, limits, question, INSPECT_TIME).await {
            Ok(FromWorker::Facts(facts)) => Ok(*facts),
            Ok(other) => Err(LinkError::Unexpected(name(&other)).of(Role::Inspect)),
            Err(error) => Err(error.of(Role::Inspect)),
        }
    }
}
