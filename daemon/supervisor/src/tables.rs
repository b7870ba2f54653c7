//! What was measured of models: sensitivity tables, by which the planner chooses types, and importance, by which tensors are
//! quantized.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mains_store::{Identity, Store, digest_of};
use mains_types::{Digest, ModelFacts, Sensitivity};
use mains_wire::files::{MAX_SENSITIVITY_BYTES, read_sensitivity};

/// The states of a model's files of a table and of importance.
type Identities = [Option<Identity>; 2];

/// Facts with the table and the importance that belong to them, for one state of their files.
pub(crate) struct Tables {
    state_dir: PathBuf,
    known: Mutex<HashMap<Digest, (Identities, Arc<ModelFacts>)>>,
}

impl Tables {
    pub(crate) fn new(state_dir: PathBuf) -> Self {
        Self {
            state_dir,
            known: Mutex::default(),
        }
    }

    /// `facts` with what was measured of the model, when that is there. A table that can not be read is told in the log, and the
    /// model's types stay as they are.
    pub(crate) async fn with_table(&self, facts: Arc<ModelFacts>) -> Arc<ModelFacts> {
        let table = Store::sensitivity(&self.state_dir, &facts.digest);
        let importance = Store::importance(&self.state_dir, &facts.digest);
        let identities = [&table, &importance].map(|path| Identity::of(path).ok());
        if identities[0].is_none() {
            return facts;
        }
        let known = self.known().get(&facts.digest).cloned();
        if let Some((_, with_table)) = known.filter(|(same, _)| *same == identities) {
            return with_table;
        }
        let model = facts.digest;
        let read = tokio::task::spawn_blocking(move || (table_of(&table, model), importance_at(&importance)));
        let (sensitivity, importance) = read.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a sensitivity table could not be read");
            (None, None)
        });
        let with_table = Arc::new(ModelFacts {
            sensitivity,
            importance,
            ..(*facts).clone()
        });
        self.known()
            .insert(facts.digest, (identities, Arc::clone(&with_table)));
        with_table
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, (Identities, Arc<ModelFacts>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The table at `path`, when it is one of `model`.
fn table_of(path: &Path, model: Digest) -> Option<Sensitivity> {
    match read(path) {
        Ok(table) if table.model == model => Some(table),
        Ok(_) => {
            tracing::warn!(%model, "a sensitivity table is another model's: measure this one again");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "a sensitivity table is not used");
            None
        }
    }
}

/// The digest of the importance at `path`, when there is one.
fn importance_at(path: &Path) -> Option<Digest> {
    match digest_of(path) {
        Ok(digest) => digest,
        Err(error) => {
            tracing::warn!(%error, "types are chosen without importance");
            None
        }
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
