//! How far an import is, as JSON: `{"version": 1, "request": {as in the HTTP interface}, "received": [BYTES]}`.

use mains_contract::Bytes;
use mains_types::ImportRequest;
use serde::{Deserialize, Serialize};

use super::ManifestError;
use crate::http::ImportBody;

/// Layout of the file.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IncomingFile {
    version: u32,
    request: ImportBody,
    received: Vec<u64>,
}

/// The import in a file's `bytes`, and the bytes of each of its files that are safe.
///
/// # Errors
/// [`ManifestError`] when they are something else.
pub fn read_incoming(bytes: &[u8]) -> Result<(ImportRequest, Vec<Bytes>), ManifestError> {
    let file: IncomingFile =
        serde_json::from_slice(bytes).map_err(|error| ManifestError::Json(error.to_string()))?;
    if file.version != VERSION {
        return Err(ManifestError::Version(file.version));
    }
    let request =
        ImportRequest::try_from(file.request).map_err(|error| ManifestError::Json(error.message))?;
    if file.received.len() != request.files.len() {
        return Err(ManifestError::Json("not a number of bytes a file".to_owned()));
    }
    Ok((request, file.received.into_iter().map(Bytes).collect()))
}

/// The bytes of a file with the state of an import.
#[must_use]
pub fn write_incoming(request: &ImportRequest, received: &[Bytes]) -> Vec<u8> {
    let file = IncomingFile {
        version: VERSION,
        request: request.into(),
        received: received.iter().map(|bytes| bytes.0).collect(),
    };
    serde_json::to_vec(&file).expect("text and whole numbers are JSON")
}

#[cfg(test)]
mod tests {
    use mains_contract::Bytes;
    use mains_types::{Digest, ImportFile, ImportKind, ImportRequest, ModelKind};
    use proptest::prelude::*;

    use super::{read_incoming, write_incoming};

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "\\PC{0,20}", origin in "\\PC{0,20}", tar in any::<bool>(),
            files in proptest::collection::vec(("\\PC{0,20}", any::<u64>(), any::<[u8; 32]>()), 0..5),
        ) {
            let kind = if tar { ImportKind::Tar } else { ImportKind::Files(ModelKind::HuggingFace) };
            let received: Vec<_> = files.iter().map(|(_, bytes, _)| Bytes(bytes / 2)).collect();
            let file = |(name, bytes, head)| ImportFile { name, bytes: Bytes(bytes), head: Digest(head) };
            let request = ImportRequest { name, kind, origin, files: files.into_iter().map(file).collect() };
            let written = write_incoming(&request, &received);
            prop_assert_eq!(read_incoming(&written), Ok((request, received)));
        }

        #[test]
        fn any_bytes_are_an_import_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(read_incoming(&bytes));
        }
    }
}
