//! Sensitivity tables that were measured of models: the planner chooses types by them.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mains_store::{Identity, Store};
use mains_types::{Digest, ModelFacts, Sensitivity};
use mains_wire::files::{MAX_SENSITIVITY_BYTES, read_sensitivity};

/// Facts with the table that belongs to them, for one state of its file.
pub(crate) struct Tables {
    state_dir: PathBuf,
    known: Mutex<HashMap<Digest, (Identity, Arc<ModelFacts>)>>,
}

impl Tables {
    pub(crate) fn new(state_dir: PathBuf) -> Self {
        Self {
            state_dir,
            known: Mutex::default(),
        }
    }

    /// `facts` with the model's table, when there is one. A table that can not be read is told in the log, and the model's
    /// types stay as they are.
    pub(crate) async fn with_table(&self, facts: Arc<ModelFacts>) -> Arc<ModelFacts> {
        let path = Store::sensitivity(&self.state_dir, &facts.digest);
        let Ok(identity) = Identity::of(&path) else {
            return facts;
        };
        let known = self.known().get(&facts.digest).cloned();
        if let Some((_, with_table)) = known.filter(|(same, _)| *same == identity) {
            return with_table;
        }
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        let table = match read {
            Ok(Ok(table)) if table.model == facts.digest => Some(table),
            Ok(Ok(_)) => {
                tracing::warn!(model = %facts.digest, "a sensitivity table is another model's: measure this one again");
                None
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "a sensitivity table is not used");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "a sensitivity table could not be read");
                None
            }
        };
        let with_table = Arc::new(ModelFacts {
            sensitivity: table,
            ..(*facts).clone()
        });
        self.known()
            .insert(facts.digest, (identity, Arc::clone(&with_table)));
        with_table
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, (Identity, Arc<ModelFacts>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<Sensitivity, String> {
    let at = |error: String| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(|error| at(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX_SENSITIVITY_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| at(error.to_string()))?;
    read_sensitivity(&bytes).map_err(|error| at(error.to_string()))
}
