//! The store folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use mains_types::{Digest, ModelSource, Origin};

use crate::{Catalogue, Configured, Library, StoreError, SystemDisk, catalogue, pilot, write};

/// The folder of a daemon's own models: `models` in its state folder.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    library: Arc<Library>,
    cleared: Vec<String>,
}

impl Store {
    /// Opens the store below `state_dir`. Makes it when it is not there, and writes the embedded pilot when the file is
    /// missing, damaged or of another version. Reads and writes the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] or [`StoreError::Io`] names the path.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(state_dir, pilot::GGUF, &Digest(pilot::DIGEST))
    }

    fn open_with(state_dir: &Path, pilot: &[u8], digest: &Digest) -> Result<Self, StoreError> {
        let folder = state_dir.join("models");
        fs::create_dir_all(&folder).map_err(|error| StoreError::io("make", &folder, &error))?;
        let path = folder.join(pilot::NAME).with_extension("gguf");
        if write::digest(&path)?.as_ref() != Some(digest) {
            write::write_whole(&path, pilot)?;
            if write::digest(&path)?.as_ref() != Some(digest) {
                return Err(StoreError::Io {
                    action: "verify",
                    path,
                    reason: "what was written reads back differently; check the disk".to_owned(),
                });
            }
        }
        let (library, cleared) = Library::open(&folder, Arc::new(SystemDisk), SystemTime::now())?;
        Ok(Self {
            folder,
            library: Arc::new(library),
            cleared,
        })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The imported models among them.
    #[must_use]
    pub const fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// What crashes had left and was removed when the store was opened, in words.
    #[must_use]
    pub fn cleared(&self) -> &[String] {
        &self.cleared
    }

    /// Where the model in other types is below `state_dir`, by the digest of its weights: one GGUF file, see [`crate::Cache`].
    #[must_use]
    pub fn variant(state_dir: &Path, weights: &Digest) -> PathBuf {
        let folder = state_dir.join("models").join("variants");
        folder.join(format!("{weights}.gguf"))
    }

    /// Where the weights of that digest, packed for `driver`, are below `state_dir`: one file (`docs/packed-file.md`), see
    /// [`crate::Cache`]. It may be removed at any time; a load without it packs them itself.
    #[must_use]
    pub fn packed(state_dir: &Path, weights: &Digest, driver: &str) -> PathBuf {
        let folder = state_dir.join("models").join("packed");
        folder.join(format!("{weights}.{driver}"))
    }

    /// Where the importance of the columns of the model with this digest is below `state_dir`, when it was measured: a GGUF
    /// file as llama.cpp's `imatrix` writes it.
    #[must_use]
    pub fn importance(state_dir: &Path, model: &Digest) -> PathBuf {
        let folder = state_dir.join("models").join("measured");
        folder.join(format!("{model}.gguf"))
    }

    /// Where the record of an unfinished measurement of the model with this digest is below `state_dir`.
    #[must_use]
    pub fn measuring(state_dir: &Path, model: &Digest) -> PathBuf {
        let folder = state_dir.join("models").join("measured");
        folder.join(format!("{model}.measuring"))
    }

    /// Where the sensitivity table of the model with this digest is below `state_dir`, when it was measured.
    #[must_use]
    pub fn sensitivity(state_dir: &Path, model: &Digest) -> PathBuf {
        let folder = state_dir.join("models").join("measured");
        folder.join(format!("{model}.json"))
    }

    /// The models of the store and of the configuration together.
    ///
    /// # Errors
    /// [`StoreError`] when the configuration is not in order. What is wrong in the store folder costs the models that it
    /// concerns, and is told in [`Catalogue::problems`].
    pub fn catalogue(&self, configured: &[Configured]) -> Result<Catalogue, StoreError> {
        let (imported, problems) = self.library.manifests()?;
        let imported = imported.into_iter().map(|(name, manifest)| ModelSource {
            name,
            path: self.library.model_path(&manifest),
            created: manifest.imported,
            origin: Origin::Imported,
            bytes: manifest.bytes(),
        });
        let mut catalogue = catalogue::catalogue(&self.folder, imported.collect(), configured)?;
        catalogue.problems.extend(problems);
        Ok(catalogue)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mains_types::Digest;

    use super::Store;
    use crate::{pilot, write};

    #[test]
    fn writes_the_pilot_once_and_mends_it() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path()).unwrap();
        let path = store.folder().join("pilot.gguf");
        assert_eq!(write::digest(&path).unwrap(), Some(Digest(pilot::DIGEST)));
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        Store::open(state.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);

        fs::write(&path, "damaged").unwrap();
        Store::open(state.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), pilot::GGUF);
    }

    #[test]
    fn a_pilot_of_another_version_is_replaced() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("models/pilot.gguf");
        for contents in [b"one", b"two"] {
            fs::write(state.path().join("probe"), contents).unwrap();
            let digest = write::digest(&state.path().join("probe")).unwrap().unwrap();
            Store::open_with(state.path(), contents, &digest).unwrap();
            assert_eq!(fs::read(&path).unwrap(), contents);
        }
    }

    #[test]
    fn what_does_not_verify_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let error = Store::open_with(state.path(), b"one", &Digest([0; 32])).unwrap_err();
        assert!(error.to_string().contains("can not verify"), "{error}");
    }
}
