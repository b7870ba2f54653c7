//! Digests of models' files, kept over restarts: to take one anew all bytes of weights are read, which for a large model is
//! minutes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mains_store::{Identity, StoreError, write_whole};
use mains_types::Digest;
use mains_wire::files::{KnownDigest, MAX_DIGESTS_BYTES, read_digests, write_digests};

/// The file, below the folder of models.
const FILE: &str = "models/digests.json";

/// The file and what is in it.
pub(crate) struct Digests {
    path: PathBuf,
    known: Mutex<BTreeMap<PathBuf, KnownDigest>>,
}

impl Digests {
    /// Reads the file below `state_dir`. One that can not be read is as good as none: digests can be taken again.
    pub(crate) fn open(state_dir: &Path) -> Self {
        let path = state_dir.join(FILE);
        let known = read(&path).unwrap_or_else(|reason| {
            tracing::warn!(path = %path.display(), %reason, "digests of models are lost; files are read again");
            BTreeMap::new()
        });
        Self {
            path,
            known: Mutex::new(known),
        }
    }

    /// The digest of the model at `path`, if its files are those of `identity` and it was taken of them.
    pub(crate) fn of(&self, path: &Path, identity: &Identity) -> Option<Digest> {
        let known = self.known();
        let known = known.get(path)?;
        (known.files == identity.lines()).then_some(known.model)
    }

    /// Keeps the digest of the model at `path`, and forgets those of models that are gone.
    ///
    /// # Errors
    /// [`StoreError`] when the file can not be written; it stays known until the daemon ends.
    pub(crate) fn keep(&self, path: &Path, identity: &Identity, model: Digest) -> Result<(), StoreError> {
        let mut known = self.known();
        let files = identity.lines();
        let new = KnownDigest { files, model };
        if known.get(path) == Some(&new) {
            return Ok(());
        }
        known.retain(|path, _| path.exists());
        known.insert(path.to_owned(), new);
        write_whole(&self.path, &write_digests(&known))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<PathBuf, KnownDigest>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<BTreeMap<PathBuf, KnownDigest>, String> {
    let size = match std::fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
    };
    if size > MAX_DIGESTS_BYTES {
        return Err(format!(
            "it has {size} bytes, at most {MAX_DIGESTS_BYTES} are taken"
        ));
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    read_digests(&text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use mains_store::Identity;
    use mains_types::Digest;

    use super::{Digests, FILE};

    const DIGEST: Digest = Digest([7; 32]);

    #[test]
    fn a_digest_survives_a_restart_and_no_change_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("models")).unwrap();
        let (model, gone) = (folder.path().join("m.gguf"), folder.path().join("gone.gguf"));
        for path in [&gone, &model] {
            std::fs::write(path, "one").unwrap();
        }
        let identity = |path| Identity::of(path).unwrap();
        let digests = Digests::open(folder.path());
        assert_eq!(digests.of(&model, &identity(&model)), None);
        digests.keep(&gone, &identity(&gone), Digest([8; 32])).unwrap();
        let was = identity(&gone);
        std::fs::remove_file(&gone).unwrap();
        digests.keep(&model, &identity(&model), DIGEST).unwrap();

        let again = Digests::open(folder.path());
        assert_eq!(again.of(&model, &identity(&model)), Some(DIGEST));
        assert_eq!(again.of(&gone, &was), None);
        std::fs::write(&model, "three").unwrap();
        assert_eq!(again.of(&model, &identity(&model)), None);
    }

    #[test]
    fn a_broken_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("models")).unwrap();
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        let digests = Digests::open(folder.path());
        let identity = Identity::of(&folder.path().join(FILE)).unwrap();
        digests
            .keep(&folder.path().join(FILE), &identity, DIGEST)
            .unwrap();
        assert_eq!(digests.of(&folder.path().join(FILE), &identity), Some(DIGEST));
    }
}
