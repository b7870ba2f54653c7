//! Digests of models by the state that their files had, as JSON: `{"version": 1, "models": [{"path", "files": [LINE], "model":
//! DIGEST}]}`. Two states with the same lines are of the same bytes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mains_types::Digest;
use serde::{Deserialize, Serialize};

use super::FileError;
use super::sensitivity::digest;

/// Bytes of the file at the most: a hundred models of a thousand files each stay below.
pub const MAX_DIGESTS_BYTES: u64 = 16 << 20;

/// Layout of the file.
const VERSION: u32 = 1;

/// A model's files as they were when their digest was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDigest {
    /// A line for each file, with all that changes when it is written or replaced.
    pub files: Vec<String>,
    /// See [`mains_types::ModelFacts::digest`].
    pub model: Digest,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestsFile {
    version: u32,
    models: Vec<ModelEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelEntry {
    path: String,
    files: Vec<String>,
    model: String,
}

/// The digests in a file's `bytes`, by path.
///
/// # Errors
/// [`FileError`] when they are something else.
pub fn read_digests(bytes: &[u8]) -> Result<BTreeMap<PathBuf, KnownDigest>, FileError> {
    let file: DigestsFile =
        serde_json::from_slice(bytes).map_err(|error| FileError::Json(error.to_string()))?;
    if file.version != VERSION {
        return Err(FileError::Json(format!(
            "version {}, not {VERSION}",
            file.version
        )));
    }
    let known = |entry: ModelEntry| {
        let model = digest(&entry.model)?;
        let files = entry.files;
        Ok((PathBuf::from(entry.path), KnownDigest { files, model }))
    };
    file.models.into_iter().map(known).collect()
}

/// The bytes of a file with `known`. A path that is no UTF-8 is left out.
#[must_use]
pub fn write_digests(known: &BTreeMap<PathBuf, KnownDigest>) -> Vec<u8> {
    let entry = |(path, known): (&PathBuf, &KnownDigest)| {
        Some(ModelEntry {
            path: path.to_str()?.to_owned(),
            files: known.files.clone(),
            model: known.model.to_string(),
        })
    };
    let file = DigestsFile {
        version: VERSION,
        models: known.iter().filter_map(entry).collect(),
    };
    serde_json::to_vec_pretty(&file).expect("text and whole numbers are JSON")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use mains_types::Digest;
    use proptest::prelude::*;

    use super::{KnownDigest, read_digests, write_digests};

    prop_compose! {
        fn any_known()(files in proptest::collection::vec("\\PC{0,20}", 0..3), model in any::<[u8; 32]>()) -> KnownDigest {
            KnownDigest { files, model: Digest(model) }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(known in proptest::collection::btree_map("\\PC{0,20}", any_known(), 0..4)) {
            let known: BTreeMap<_, _> = known.into_iter().map(|(path, known)| (PathBuf::from(path), known)).collect();
            prop_assert_eq!(read_digests(&write_digests(&known)), Ok(known));
        }

        #[test]
        fn a_changed_byte_is_digests_or_an_error(
            known in any_known(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = write_digests(&[(PathBuf::from("/m"), known)].into());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            drop(read_digests(&bytes));
        }
    }
}
