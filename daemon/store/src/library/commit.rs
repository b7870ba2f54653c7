//! How a model gets into the catalogue and out of it, each in one step.

use std::path::{Path, PathBuf};

use mains_contract::Bytes;
use mains_types::{Digest, Manifest};
use mains_wire::files::write_manifest;

use super::{Library, content_digest};
use crate::{StoreError, write};

/// A model that is in the catalogue now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What its files are stored under.
    pub content: Digest,
    /// Where it is opened.
    pub path: PathBuf,
    /// Whether another name had the same files already.
    pub shared: bool,
}

/// A model that is not in the catalogue any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// What was kept of it.
    pub manifest: Manifest,
    /// Other names of the same files; these stay while there is one.
    pub shared_with: Vec<String>,
    /// Bytes that are free now.
    pub bytes: Bytes,
    /// Files that could not be removed, and why; the next start tries again.
    pub left: Option<StoreError>,
}

impl Library {
    /// Puts a checked import into the catalogue: its files get their place, then its manifest appears under its name.
    ///
    /// # Errors
    /// [`StoreError`] with the path; the import is as it was then.
    pub fn commit(&self, id: &str, manifest: &Manifest) -> Result<Placed, StoreError> {
        let _turn = self.turn();
        let known = self.find(id)?;
        let incoming = self.turn_of(id, &known)?;
        let name = &incoming.request.name;
        if self.manifest(name)?.is_some() {
            return Err(StoreError::Taken {
                name: name.clone(),
                why: "was imported by somebody else meanwhile".to_owned(),
            });
        }
        let arrived = incoming.model_folder();
        let content = content_digest(manifest.kind, &manifest.files);
        let kept = self.contents().join(content.to_string());
        let looked = self.disk.look(&kept);
        let shared = looked
            .map_err(|error| StoreError::io("read", &kept, &error))?
            .is_some();
        if !shared {
            let placed = self.place(&arrived, &kept);
            self.or_no_room(id, &incoming, placed)?;
        }
        let linked = write::write_whole_on(&*self.disk, &self.manifest_path(name), &write_manifest(manifest));
        if let Err(error) = linked {
            // The name may have appeared although the folder could not be synced.
            let _removed = self.disk.remove_file(&self.manifest_path(name));
            if !shared {
                // Where this fails too, the next start removes what has no name.
                let _back = self.disk.rename(&kept, &arrived);
            }
            return self.or_no_room(id, &incoming, Err(error));
        }
        self.under_way().remove(id);
        // The model is there; what is left of the import is removed at the next start where it can not be now.
        let _removed = self.disk.remove_folder(&incoming.folder);
        Ok(Placed {
            content,
            path: self.model_path(manifest),
            shared,
        })
    }

    fn place(&self, arrived: &Path, kept: &Path) -> Result<(), StoreError> {
        self.disk
            .sync_folder(arrived)
            .and_then(|()| self.disk.rename(arrived, kept))
            .map_err(|error| write::failed(kept, Bytes::ZERO, &error))?;
        self.disk.sync_folder(&self.contents()).map_err(|error| {
            // Its place is not safe: back to where it was, so that a second try finds it.
            let _back = self.disk.rename(kept, arrived);
            write::failed(kept, Bytes::ZERO, &error)
        })
    }

    /// Takes the model called `name` out of the catalogue, and its files off the disk when it was their last name. Whoever
    /// reads them must have ended.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when it was not imported; or what the disk says, and then it is still there.
    pub fn remove(&self, name: &str) -> Result<Removed, StoreError> {
        let _turn = self.turn();
        let Some(manifest) = self.manifest(name)? else {
            return Err(StoreError::Taken {
                name: name.to_owned(),
                why: "was not imported".to_owned(),
            });
        };
        let content = content_digest(manifest.kind, &manifest.files);
        let (manifests, problems) = self.manifests()?;
        let same = |(other, found): (String, Manifest)| {
            let is_same = other != name && content_digest(found.kind, &found.files) == content;
            is_same.then_some(other)
        };
        let shared_with: Vec<String> = manifests.into_iter().filter_map(same).collect();
        let path = self.manifest_path(name);
        self.disk
            .remove_file(&path)
            .map_err(|error| StoreError::io("remove", &path, &error))?;
        // The name must be gone for good before its files are, and one that can not be read may lead to them too.
        let synced = self.disk.sync_folder(&self.names());
        let synced = synced.map_err(|error| StoreError::io("remove", &path, &error));
        let last = shared_with.is_empty() && problems.is_empty();
        let left = synced
            .and_then(|()| if last { self.drop_content(&content) } else { Ok(()) })
            .err();
        let bytes = if last && left.is_none() {
            manifest.bytes()
        } else {
            Bytes::ZERO
        };
        Ok(Removed {
            shared_with,
            bytes,
            left,
            manifest,
        })
    }

    /// Removes the files of a content. They get another name first, so that a half of them is never taken for a whole.
    fn drop_content(&self, content: &Digest) -> Result<(), StoreError> {
        let kept = self.contents().join(content.to_string());
        let doomed = self.contents().join(format!("removed-{content}"));
        self.disk
            .rename(&kept, &doomed)
            .map_err(|error| StoreError::io("remove", &kept, &error))?;
        self.remove_folder(&doomed)
    }
}
