//! Models come into the store and leave it. `mainsd` counts, hashes and links; what the files mean is a worker's to say.

mod export;
mod removal;
mod unpack;

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mains_contract::Bytes;
use mains_store::{Library, StoreError};
use mains_types::{
    Digest, ImportKind, ImportRequest, ImportState, Manifest, ModelFacts, ModelKind, ModelSource, Origin,
    StoredFile,
};
use tokio::sync::mpsc;

pub use export::Export;

use super::{Inner, Supervisor};
use crate::error::taken;
use crate::uses::Use;
use crate::{SensitivityState, SupervisorError};

/// Steps that wait for whoever listens; progress beyond them is dropped, its next word says more.
const QUEUED_STEPS: usize = 16;

/// How the end of an import goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportStep {
    /// So far it is.
    Progress {
        /// What is done.
        phase: ImportPhase,
        /// Bytes that are done.
        done: Bytes,
        /// All of them, when that is known.
        of: Option<Bytes>,
    },
    /// It is in the catalogue.
    Imported(Imported),
    /// It is not.
    Failed(SupervisorError),
}

/// What is done at the end of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportPhase {
    /// Files are compared with their digests.
    Checking,
    /// The model's files are taken out of a tar.
    Unpacking,
    /// A worker reads them.
    Inspecting,
}

impl ImportPhase {
    /// The word that JSON carries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::Unpacking => "unpacking",
            Self::Inspecting => "inspecting",
        }
    }
}

/// A model that was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its name.
    pub name: String,
    /// Its family.
    pub family: String,
    /// What its files are stored under.
    pub content: Digest,
    /// Bytes of its files.
    pub bytes: Bytes,
    /// How many there are.
    pub files: usize,
    /// Whether another name had the same files already.
    pub shared: bool,
}

/// What is known of a model on disk.
#[derive(Debug, Clone)]
pub struct Description {
    /// Its name, place, size and origin.
    pub source: ModelSource,
    /// What was kept of its import, if it was imported.
    pub manifest: Option<Manifest>,
    /// What its files say.
    pub facts: Arc<ModelFacts>,
    /// How far the measurement of what types cost it is.
    pub sensitivity: SensitivityState,
    /// Files that were made of it, by their names, and their bytes.
    pub made: Vec<(String, Bytes)>,
}

impl Supervisor {
    /// Begins an import, or goes on with one that was begun.
    ///
    /// # Errors
    /// [`SupervisorError::Store`] when the name is taken, the files are no model's, or there is too little room for them.
    pub async fn import_begin(&self, request: ImportRequest) -> Result<ImportState, SupervisorError> {
        if let Some(model) = self.find(&request.name) {
            let source = model.source();
            let why = format!("is there already ({}); give another --name", source.origin.name());
            return Err(taken(&request.name, &why));
        }
        self.on_disk(move |library| library.begin(&request)).await
    }

    /// Takes `bytes` of file `number` at `offset`.
    ///
    /// # Errors
    /// [`SupervisorError::Store`]; a full disk ends the import and removes it.
    pub async fn import_write(
        &self,
        id: String,
        number: usize,
        offset: Bytes,
        bytes: Vec<u8>,
    ) -> Result<(), SupervisorError> {
        self.on_disk(move |library| library.write(&id, number, offset, &bytes))
            .await
    }

    /// Makes safe what came of file `number` and tells how much of it is.
    ///
    /// # Errors
    /// As [`Self::import_write`].
    pub async fn import_settle(&self, id: String, number: usize) -> Result<Bytes, SupervisorError> {
        self.on_disk(move |library| library.settle(&id, number)).await
    }

    /// Ends an import: compares its files with `digests`, has them inspected and puts the model into the catalogue. It goes on
    /// when the receiver is dropped.
    ///
    /// # Errors
    /// [`SupervisorError::Store`] when there is no such import.
    pub async fn import_finish(
        &self,
        id: String,
        digests: Vec<Digest>,
    ) -> Result<mpsc::Receiver<ImportStep>, SupervisorError> {
        let asked = id.clone();
        let request = self.on_disk(move |library| library.request(&asked)).await?;
        let using = self.inner.context.uses.begin(&request.name, Use::Import)?;
        let (steps, receiver) = mpsc::channel(QUEUED_STEPS);
        let supervisor = self.clone();
        tokio::spawn(async move {
            let _using = using;
            let name = request.name.clone();
            let last = match supervisor.finish(&id, request, digests, &steps).await {
                Ok(imported) => {
                    tracing::info!(model = %name, bytes = %imported.bytes, content = %imported.content, "imported");
                    ImportStep::Imported(imported)
                }
                Err(error) => {
                    tracing::warn!(model = %name, %error, "a model was not imported");
                    ImportStep::Failed(error)
                }
            };
            // Whoever asked may be gone; the log has it.
            let _gone = steps.send(last).await;
        });
        Ok(receiver)
    }

    async fn finish(
        &self,
        id: &str,
        request: ImportRequest,
        digests: Vec<Digest>,
        steps: &mpsc::Sender<ImportStep>,
    ) -> Result<Imported, SupervisorError> {
        let (checking, told) = (id.to_owned(), steps.clone());
        let beat = move |done, of| tell(&told, ImportPhase::Checking, done, Some(of));
        let files = self
            .on_disk(move |library| library.check(&checking, &digests, &mut { beat }))
            .await?;
        let (kind, files) = match request.kind {
            ImportKind::Files(kind) => (kind, files),
            ImportKind::Tar => {
                let unpacked = unpack::unpack(&self.inner, id, steps).await;
                self.or_discard(id, unpacked).await?
            }
        };
        tell(steps, ImportPhase::Inspecting, Bytes::ZERO, None);
        let arrived = self.inner.store.library().incoming_path(id, kind, &files)?;
        let facts = self.inspect(&arrived).await;
        let facts = self.or_discard(id, facts).await?;
        self.link(id, request, kind, files, &facts, &arrived).await
    }

    /// `result`; what a worker or the store refuses is of no use and is removed. A worker that could not be started, or a disk that
    /// failed, says nothing of the files.
    async fn or_discard<T>(
        &self,
        id: &str,
        result: Result<T, SupervisorError>,
    ) -> Result<T, SupervisorError> {
        if let Err(SupervisorError::Worker { .. } | SupervisorError::Store(StoreError::Refused { .. })) =
            &result
        {
            let doomed = id.to_owned();
            self.on_disk(move |library| library.discard(&doomed)).await?;
        }
        result
    }

    /// What the files at `path` say, when some driver can compute them.
    async fn inspect(&self, path: &Path) -> Result<Arc<ModelFacts>, SupervisorError> {
        let facts = self.inner.context.facts(path).await?;
        if !facts.costs.is_empty() {
            return Ok(facts);
        }
        let lacks = facts
            .unsupported
            .iter()
            .map(|(driver, why)| format!("{driver}: {why}"));
        Err(SupervisorError::Worker {
            role: "inspect",
            reason: format!(
                "knows no driver that computes it ({})",
                lacks.collect::<Vec<_>>().join("; ")
            ),
        })
    }

    async fn link(
        &self,
        id: &str,
        request: ImportRequest,
        kind: ModelKind,
        files: Vec<StoredFile>,
        facts: &ModelFacts,
        arrived: &Path,
    ) -> Result<Imported, SupervisorError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut manifest = Manifest {
            kind,
            files,
            origin: request.origin,
            imported: since.as_secs(),
            model: facts.digest,
        };
        manifest.files.sort();
        let (committed, kept) = (id.to_owned(), manifest.clone());
        let placed = self
            .on_disk(move |library| library.commit(&committed, &kept))
            .await?;
        self.inner.context.moved(arrived, &placed.path);
        self.look_again();
        // It may be measured as soon as nothing else runs.
        self.inner.context.background.changed.notify_one();
        Ok(Imported {
            name: request.name,
            family: facts.family.clone(),
            content: placed.content,
            bytes: manifest.bytes(),
            files: manifest.files.len(),
            shared: placed.shared,
        })
    }

    /// What is known of a model on disk. Its files are read when they were not before.
    ///
    /// # Errors
    /// [`SupervisorError`] when there is no such model, or a worker can not read it.
    pub async fn describe(&self, name: &str) -> Result<Description, SupervisorError> {
        let source = self.known(name)?.source();
        let facts = self.inner.context.facts(&source.path).await?;
        let manifest = match source.origin {
            Origin::Imported => {
                let name = name.to_owned();
                self.on_disk(move |library| library.manifest(&name)).await?
            }
            _ => None,
        };
        let made = self.inner.context.shelf.of_model(facts.digest).await?;
        let name_of = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let named = made
            .into_iter()
            .filter_map(|(path, bytes)| Some((name_of(&path)?, bytes)));
        let on = self.background().0.is_some();
        let desk = &self.inner.context.background;
        Ok(Description {
            sensitivity: desk.state_of(&source.path, &facts, on),
            source,
            manifest,
            facts,
            made: named.collect(),
        })
    }

    /// Does `work` where blocking is allowed.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Library) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, SupervisorError> {
        self.inner.on_disk(work).await
    }
}

impl Inner {
    /// Does `work` where blocking is allowed.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Library) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, SupervisorError> {
        let library = Arc::clone(self.store.library());
        let done = tokio::task::spawn_blocking(move || work(&library)).await;
        let done = done.map_err(|error| StoreError::Io {
            action: "finish work on",
            path: self.store.folder().to_owned(),
            reason: error.to_string(),
        })?;
        Ok(done?)
    }
}

fn tell(steps: &mpsc::Sender<ImportStep>, phase: ImportPhase, done: Bytes, of: Option<Bytes>) {
    // Nobody may listen, and a full queue will say more with its next word.
    let _dropped = steps.try_send(ImportStep::Progress { phase, done, of });
}
