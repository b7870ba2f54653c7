//! Files that are made of models: the tensors in the types of a plan (a variant), and weights packed for a driver. Made once by
//! `convert` workers, kept under the digest of the plan's weights, and mapped at load.
//!
//! The worker's bytes come over its connection and are written, hashed, synced and named here: it has nowhere to write to, and a
//! file is there whole or not at all.

mod making;
mod shelf;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mains_contract::{BlockFormat, Bytes};
use mains_planner::KeptTypes;
use mains_store::{Store, StoreError};
use mains_types::{Digest, ModelFacts, Plan, model_files};
use mains_wire::files::{FileRecord, read_record};
use mains_wire::frames::{ConvertOrder, PackOrder, ToWorker};

use crate::SupervisorError;
use crate::context::Context;
use crate::settings::Settings;
use making::{Making, make};
pub(crate) use shelf::{Held, Shelf};

/// What is made for a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its tensors in its types.
    Types,
    /// Its weights as its driver keeps them.
    Layout,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is made.
    pub step: Step,
    /// Bytes of the file that are written.
    pub written: u64,
    /// All of them.
    pub bytes: u64,
}

/// Where a plan's weights are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariantState {
    /// In the model's own files.
    Stored,
    /// In a file that was made for them.
    Ready,
    /// In none: it is made when they are first loaded, or by [`crate::Supervisor::prepare`].
    Missing,
}

/// What is there for a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The plan's digest, which rows of the ledger name.
    pub variant: Digest,
    /// The digest of its weights, by which files are called.
    pub weights: Digest,
    /// Where its weights are.
    pub state: VariantState,
    /// Whether they are packed for its driver.
    pub packed: bool,
    /// Why they are not, where they were to be.
    pub note: Option<String>,
}

/// The files that a load is made of. They stay as long as this is kept.
pub(crate) struct Files {
    /// The model's own, or the variant's.
    pub(crate) path: PathBuf,
    pub(crate) packed: Option<PathBuf>,
    _held: Vec<Held>,
}

/// A plan whose files are wanted.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) context: &'a Context,
    pub(crate) settings: &'a Settings,
    pub(crate) facts: &'a ModelFacts,
    pub(crate) plan: &'a Plan,
}

/// What is known of files beside what is on disk.
#[derive(Default)]
pub(crate) struct Works {
    /// Those that are being made, so that two who want the same one wait for each other.
    making: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
    /// Those that no worker could make: they are not tried again.
    given_up: Mutex<HashSet<PathBuf>>,
}

/// Bytes that a worker takes to pack weights: what it keeps of a model as when it runs, and the largest tensor twice, rearranged and
/// packed.
fn packing(plan: &Plan) -> Bytes {
    let largest = plan.tensors.iter().map(|tensor| tensor.bytes).max();
    plan.bytes.runtime + largest.unwrap_or(Bytes::ZERO).times(2)
}

impl Works {
    fn lock_of(&self, path: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        making.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(making.entry(path.to_owned()).or_default())
    }

    fn given_up(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanted<'_> {
    /// The files of the plan; the variant is made now when it is not there. `progress` hears of the writing.
    pub(crate) async fn files(
        &self,
        progress: &(impl Fn(Progress) + Sync),
    ) -> Result<Files, SupervisorError> {
        let (path, mut held) = match self.variant_path() {
            None => (self.settings.source.path.clone(), Vec::new()),
            Some(path) => {
                let held = self.variant(&path, progress).await?;
                (path, vec![held])
            }
        };
        let packed = match self.packed_path() {
            None => None,
            Some(packed) => self
                .context
                .shelf
                .take(packed.clone(), false)
                .await
                .map(|held_packed| {
                    held.push(held_packed);
                    packed
                }),
        };
        Ok(Files {
            path,
            packed,
            _held: held,
        })
    }

    /// Whether the variant among `files` is what was made, to its last byte: its head alone is looked at when it is taken. Weights that
    /// are packed are checked by whoever loads them.
    pub(crate) async fn is_whole(&self, files: &Files) -> bool {
        match self.variant_path() {
            Some(path) if path == files.path => self.context.shelf.is_whole(path).await,
            _ => true,
        }
    }

    /// Where its variant is to be; `None` when the model's own files have its types.
    fn variant_path(&self) -> Option<PathBuf> {
        let is_changed = !self.changed().is_empty();
        is_changed.then(|| Store::variant(&self.settings.state_dir, &self.plan.weights))
    }

    fn packed_path(&self) -> Option<PathBuf> {
        let driver = &self.plan.segments.first()?.driver;
        Some(Store::packed(
            &self.settings.state_dir,
            &self.plan.weights,
            driver,
        ))
    }

    /// Tensors whose type the plan changes.
    fn changed(&self) -> Vec<(String, BlockFormat)> {
        let tensors = self.facts.tensors.iter();
        let stored: HashMap<&str, BlockFormat> = tensors
            .map(|tensor| (tensor.name.as_str(), tensor.format))
            .collect();
        let differs = |name: &str, format| stored.get(name).is_some_and(|stored| *stored != format);
        let planned = self.plan.tensors.iter();
        planned
            .filter(|tensor| differs(&tensor.name, tensor.format))
            .map(|tensor| (tensor.name.clone(), tensor.format))
            .collect()
    }

    async fn variant(
        &self,
        path: &Path,
        progress: &(impl Fn(Progress) + Sync),
    ) -> Result<Held, SupervisorError> {
        let lock = self.context.works.lock_of(path);
        let _making = lock.lock().await;
        if let Some(held) = self.context.shelf.take(path.to_owned(), true).await {
            return Ok(held);
        }
        let model = &self.settings.source.name;
        tracing::info!(%model, weights = %self.plan.weights, "the model is put into the plan's types");
        let importance = self.facts.importance;
        let order = ConvertOrder {
            path: self.settings.source.path.clone(),
            formats: self.changed(),
            importance: importance.map(|_| Store::importance(&self.settings.state_dir, &self.facts.digest)),
            threads: self.settings.threads.unwrap_or(0),
        };
        let readable = model_files(&order.path).into_iter();
        let readable = readable.chain(order.importance.clone());
        let stored = self.plan.tensors.iter().map(|tensor| tensor.bytes.0);
        let making = Making {
            readable: readable.collect(),
            order: ToWorker::Convert(order),
            path: path.to_owned(),
            // Tensors, and what files say beside them: vectors may double on the way out of a folder.
            most: stored
                .sum::<u64>()
                .saturating_add(self.facts.file_bytes.0)
                .saturating_add(1 << 20),
            record: self.record(),
            step: Step::Types,
            model: model.clone(),
        };
        let held = make(self.context, making, progress).await?;
        tracing::info!(%model, weights = %self.plan.weights, path = %path.display(), "the variant is there");
        Ok(held)
    }

    /// What is recorded of its files; by what they are known again comes when they are whole.
    fn record(&self) -> FileRecord {
        let tensors = self.plan.tensors.iter();
        FileRecord {
            bytes: 0,
            head: Digest([0; 32]),
            sha256: None,
            model: self.facts.digest,
            importance: self.facts.importance,
            types: tensors
                .map(|tensor| (tensor.name.clone(), tensor.format))
                .collect(),
        }
    }

    /// Packs the weights of `files` for the plan's driver, when they are not packed yet and the driver packs any. Whether they are.
    pub(crate) async fn pack(
        &self,
        files: &Files,
        progress: &(impl Fn(Progress) + Sync),
    ) -> Result<bool, SupervisorError> {
        let Some(path) = self.packed_path() else {
            return Ok(false);
        };
        // Tensors of a folder are put into order in memory, as much as the model has of them: it is loaded as it is.
        let is_folder = tokio::fs::metadata(&files.path)
            .await
            .is_ok_and(|found| found.is_dir());
        if is_folder || self.context.works.given_up().contains(&path) {
            return Ok(false);
        }
        let lock = self.context.works.lock_of(&path);
        let _making = lock.lock().await;
        if self.context.shelf.take(path.clone(), false).await.is_some() {
            return Ok(true);
        }
        self.room_to_pack()?;
        let order = PackOrder {
            path: files.path.clone(),
            weights: self.plan.weights,
            driver: self
                .plan
                .segments
                .first()
                .map_or_else(String::new, |segment| segment.driver.clone()),
        };
        let making = Making {
            readable: model_files(&files.path),
            order: ToWorker::Pack(order),
            path: path.clone(),
            // As the plan counts them, the table, and a page for each to begin at one.
            most: self
                .plan
                .bytes
                .weights
                .0
                .saturating_mul(2)
                .saturating_add(64 << 20),
            record: self.record(),
            step: Step::Layout,
            model: self.settings.source.name.clone(),
        };
        match make(self.context, making, progress).await {
            Ok(_held) => Ok(true),
            Err(error) => {
                if matches!(error, SupervisorError::Worker { .. }) {
                    self.context.works.given_up().insert(path);
                }
                Err(error)
            }
        }
    }

    /// Whether what is left of the host's memory is enough for a worker that packs beside all that is loaded: it would take it from
    /// models that serve.
    fn room_to_pack(&self) -> Result<(), SupervisorError> {
        let (host, needed) = (&self.plan.host, packing(self.plan));
        match self.context.reservations().left(host) {
            Some(left) if left < needed => Err(SupervisorError::Worker {
                role: "convert",
                reason: format!(
                    "takes {needed} to pack the weights and {left} are left on {host}: they are packed at a load that leaves as much"
                ),
            }),
            _ => Ok(()),
        }
    }

    /// What is there for the plan.
    pub(crate) async fn prepared(&self) -> Prepared {
        let is_there = async |path: Option<PathBuf>| match path {
            Some(path) => tokio::fs::try_exists(path).await.unwrap_or(false),
            None => false,
        };
        let variant = self.variant_path();
        Prepared {
            variant: self.plan.variant,
            weights: self.plan.weights,
            state: match (&variant, is_there(variant.clone()).await) {
                (None, _) => VariantState::Stored,
                (Some(_), true) => VariantState::Ready,
                (Some(_), false) => VariantState::Missing,
            },
            packed: is_there(self.packed_path()).await,
            note: None,
        }
    }
}

impl Files {
    /// What a worker that loads them reads.
    pub(crate) fn readable(&self) -> Vec<PathBuf> {
        let files = model_files(&self.path).into_iter();
        files.chain(self.packed.clone()).collect()
    }
}

/// The types of the variants of a model that are there.
pub(crate) async fn kept(context: &Context, facts: &ModelFacts) -> Vec<KeptTypes> {
    if facts.sensitivity.is_none() {
        return Vec::new();
    }
    let records = match context.shelf.records().await {
        Ok(records) => records,
        Err(error) => {
            tracing::warn!(%error, "variants are not looked at");
            return Vec::new();
        }
    };
    let records = records.iter().filter_map(|record| read_record(record).ok());
    records
        .filter(|record| record.model == facts.digest && record.importance == facts.importance)
        .map(|record| record.types)
        .collect()
}

/// Whether `error` says that there is no room for a file.
pub(crate) const fn is_full(error: &SupervisorError) -> bool {
    matches!(
        error,
        SupervisorError::Store(
            StoreError::DiskFull { .. } | StoreError::NoRoom { .. } | StoreError::Budget { .. }
        )
    )
}
