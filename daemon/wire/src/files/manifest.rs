//! What the store keeps of an imported model, as JSON: `{"version": 1, "kind": "gguf", "origin": TEXT, "imported": SECONDS,
//! "model": DIGEST, "files": [{"name", "bytes", "sha256"}]}`.

use mains_contract::Bytes;
use mains_types::{Digest, Manifest, ModelKind, StoredFile};
use serde::{Deserialize, Serialize};

/// Bytes of a manifest at the most: one of the most files that an import may have stays below.
pub const MAX_MANIFEST_BYTES: u64 = 2 << 20;

/// Layout of the file.
const VERSION: u32 = 1;

/// A file that is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not what the layout says.
    #[error("no manifest of a model: {0}; remove the file and import the model again")]
    Json(String),
    /// It is of another version.
    #[error("a manifest of version {0}, this program knows {VERSION}; import the model again")]
    Version(u32),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestFile {
    version: u32,
    kind: String,
    origin: String,
    imported: u64,
    model: String,
    files: Vec<FileEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    name: String,
    bytes: u64,
    sha256: String,
}

/// The manifest in a file's `bytes`. Names of files are not judged here.
///
/// # Errors
/// [`ManifestError`] when they are something else.
pub fn read_manifest(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let file: ManifestFile =
        serde_json::from_slice(bytes).map_err(|error| ManifestError::Json(error.to_string()))?;
    if file.version != VERSION {
        return Err(ManifestError::Version(file.version));
    }
    let digest = |text: &str| {
        let digest = Digest::from_hex(text);
        digest.ok_or_else(|| ManifestError::Json(format!("{text:?} is no SHA-256 digest")))
    };
    let kind = ModelKind::from_name(&file.kind)
        .ok_or_else(|| ManifestError::Json(format!("{:?} is no kind of files", file.kind)))?;
    let stored = |entry: FileEntry| {
        Ok(StoredFile {
            name: entry.name,
            bytes: Bytes(entry.bytes),
            digest: digest(&entry.sha256)?,
        })
    };
    Ok(Manifest {
        kind,
        origin: file.origin,
        imported: file.imported,
        model: digest(&file.model)?,
        files: file.files.into_iter().map(stored).collect::<Result<_, _>>()?,
    })
}

/// The bytes of a file with `manifest`.
#[must_use]
pub fn write_manifest(manifest: &Manifest) -> Vec<u8> {
    let files = manifest.files.iter().map(|file| FileEntry {
        name: file.name.clone(),
        bytes: file.bytes.0,
        sha256: file.digest.to_string(),
    });
    let file = ManifestFile {
        version: VERSION,
        kind: manifest.kind.name().to_owned(),
        origin: manifest.origin.clone(),
        imported: manifest.imported,
        model: manifest.model.to_string(),
        files: files.collect(),
    };
    serde_json::to_vec_pretty(&file).expect("text and whole numbers are JSON")
}

#[cfg(test)]
mod tests {
    use mains_contract::Bytes;
    use mains_types::{Digest, Manifest, ModelKind, StoredFile};
    use proptest::prelude::*;

    use super::{ManifestError, read_manifest, write_manifest};

    prop_compose! {
        fn any_manifest()(
            kind in 0..ModelKind::ALL.len(),
            model in any::<[u8; 32]>(),
            origin in "\\PC{0,40}",
            imported in any::<u64>(),
            files in proptest::collection::vec(("\\PC{0,20}", any::<u64>(), any::<[u8; 32]>()), 0..5),
        ) -> Manifest {
            let file = |(name, bytes, digest)| StoredFile { name, bytes: Bytes(bytes), digest: Digest(digest) };
            Manifest {
                kind: ModelKind::ALL[kind],
                files: files.into_iter().map(file).collect(),
                origin,
                imported,
                model: Digest(model),
            }
        }
    }

    #[test]
    fn another_version_is_refused() {
        let manifest = Manifest {
            kind: ModelKind::Gguf,
            files: Vec::new(),
            origin: String::new(),
            imported: 0,
            model: Digest([0; 32]),
        };
        let text = String::from_utf8(write_manifest(&manifest)).unwrap();
        let newer = text.replace("\"version\": 1", "\"version\": 2");
        assert_eq!(read_manifest(newer.as_bytes()), Err(ManifestError::Version(2)));
        let more = text.replace("\"version\": 1", "\"version\": 1, \"more\": 1");
        assert!(matches!(
            read_manifest(more.as_bytes()),
            Err(ManifestError::Json(_))
        ));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(manifest in any_manifest()) {
            prop_assert_eq!(read_manifest(&write_manifest(&manifest)), Ok(manifest));
        }

        #[test]
        fn a_changed_byte_is_a_manifest_or_an_error(
            manifest in any_manifest(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = write_manifest(&manifest);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            drop(read_manifest(&bytes));
        }
    }
}
