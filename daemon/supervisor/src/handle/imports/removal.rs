//! Models leave the store: what reads them ends or is waited for first, and what was made of them goes along.

use mains_contract::Bytes;
use mains_store::{Library, Removed, Store};
use mains_types::{Manifest, ModelSource, Origin};

use super::Supervisor;
use crate::background::keep;
use crate::error::taken;
use crate::model::Model;
use crate::uses::Use;
use crate::{ModelState, SupervisorError};

impl Supervisor {
    /// Takes an imported model out of the catalogue and off the disk, with what was measured and made of it; one that is loaded only
    /// when it is to be unloaded first. What goes on in the background with it is ended, what somebody asked for is not: while it is
    /// prepared, exported or imported it stays. Drops an unfinished import as well. It goes on to its end whoever stops waiting.
    ///
    /// What was made goes first: a crash in between leaves a model that is measured again, and no files that no model leads to.
    ///
    /// # Errors
    /// [`SupervisorError::Store`] when it was not imported or is in use, [`SupervisorError::UnknownModel`].
    pub async fn remove(&self, name: &str, unload: bool) -> Result<Option<Removed>, SupervisorError> {
        let (supervisor, name) = (self.clone(), name.to_owned());
        let removal = tokio::spawn(async move { supervisor.remove_to_the_end(&name, unload).await });
        removal.await.unwrap_or(Err(SupervisorError::ShuttingDown))
    }

    async fn remove_to_the_end(&self, name: &str, unload: bool) -> Result<Option<Removed>, SupervisorError> {
        let Some(model) = self.find(name) else {
            return self.drop_unfinished(name).await;
        };
        let source = model.source();
        if let Some(why) = why_it_stays(&source) {
            return Err(taken(name, &why));
        }
        let context = &self.inner.context;
        let _removal = context.uses.begin(name, Use::Remove)?;
        if is_in_use(&model) {
            if !unload {
                return Err(taken(
                    name,
                    "is loaded; end it with `mains unload` first, or remove it with --unload",
                ));
            }
            model.unload().await;
        }
        // A measurement that nobody waits for ends, and writes nothing more.
        let _quiet = context.turn.quiet_background().await;
        let freed = self.remove_made(name).await?;
        let mut removed = {
            let name = name.to_owned();
            self.on_disk(move |library| library.remove(&name)).await?
        };
        removed.bytes += freed;
        self.look_again();
        // A request that came meanwhile may have started it.
        model.unload().await;
        tracing::info!(model = name, bytes = %removed.bytes, "removed");
        if let Some(problem) = &removed.left {
            tracing::warn!(%problem, "files of a removed model are left; the next start removes them");
        }
        Ok(Some(removed))
    }

    async fn drop_unfinished(&self, name: &str) -> Result<Option<Removed>, SupervisorError> {
        let _removal = self.inner.context.uses.begin(name, Use::Remove)?;
        let asked = name.to_owned();
        let dropped = self.on_disk(move |library| {
            let id = library.unfinished(&asked)?;
            id.map(|id| library.discard(&id)).transpose()
        });
        match dropped.await? {
            Some(()) => Ok(None),
            None => Err(self.unknown(name)),
        }
    }

    /// Whether the catalogue has the model of `manifest` under another name than `name`.
    async fn is_known(&self, name: &str, manifest: &Manifest) -> Result<bool, SupervisorError> {
        let (manifests, _) = self.on_disk(Library::manifests).await?;
        let is_same = |(other, found): (&String, &Manifest)| other != name && found.model == manifest.model;
        if manifests.iter().any(is_same) {
            return Ok(true);
        }
        for other in self.models() {
            // Files of another size are another model; those beside a folder's own count in its size.
            let may_be = other.path.is_dir() || other.bytes == manifest.bytes();
            if other.origin != Origin::Imported
                && may_be
                && let Ok(facts) = self.inner.context.facts(&other.path).await
                && facts.digest == manifest.model
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes what was measured and made of a model, unless another name has it. Returns its bytes.
    async fn remove_made(&self, name: &str) -> Result<Bytes, SupervisorError> {
        let asked = name.to_owned();
        let manifest = self.on_disk(move |library| library.manifest(&asked)).await?;
        let Some(manifest) = manifest else {
            // The library says that it was not imported.
            return Ok(Bytes::ZERO);
        };
        if self.is_known(name, &manifest).await? {
            return Ok(Bytes::ZERO);
        }
        let model = manifest.model;
        // What was begun of it ends, see `making`.
        self.inner.context.shelf.finished(model).await;
        let mut freed = Bytes::ZERO;
        for (path, bytes) in self.inner.context.shelf.of_model(model).await? {
            self.inner.context.shelf.remove(path).await;
            freed += bytes;
        }
        let state_dir = self.current().config.state_dir.clone();
        for path in [
            Store::sensitivity(&state_dir, &model),
            // Before what it becomes when it is whole.
            keep::partial(&Store::importance(&state_dir, &model)),
            Store::importance(&state_dir, &model),
            Store::measuring(&state_dir, &model),
        ] {
            match tokio::fs::remove_file(&path).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %path.display(), "what was measured of a removed model is left");
                }
                _ => {}
            }
        }
        Ok(freed)
    }
}

fn is_in_use(model: &Model) -> bool {
    let state = model.status(tokio::time::Instant::now().into_std()).state;
    !matches!(
        state,
        ModelState::Stopped | ModelState::Failed | ModelState::Backoff
    )
}

/// Why a model that was not imported can not be removed.
fn why_it_stays(source: &ModelSource) -> Option<String> {
    match source.origin {
        Origin::Imported => None,
        Origin::Embedded => Some("comes with mains and stays".to_owned()),
        Origin::Configured => Some(format!(
            "is in the configuration; remove [models.{}] there and run `mains reload`",
            source.name
        )),
        Origin::Folder => Some(format!(
            "was not imported; remove {} by hand",
            source.path.display()
        )),
    }
}
