//! The record of a file that was made of a model, as JSON: `{"version": 1, "bytes", "head": DIGEST, "sha256": DIGEST or null, "model":
//! DIGEST, "importance": DIGEST or null, "types": [[TENSOR, TYPE]]}`.

use std::collections::HashMap;

use mains_contract::BlockFormat;
use mains_types::Digest;
use serde::{Deserialize, Serialize};

use super::sensitivity::digest;

/// Layout of the file.
const VERSION: u32 = 1;

/// A file that is no record, in words: what it is the record of is to be made again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no record of a file that was made of a model: {0}")]
pub struct RecordError(String);

/// What a file that was made of a model is, and by what it is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of its head.
    pub head: Digest,
    /// SHA-256 of all of it, where it is known.
    pub sha256: Option<Digest>,
    /// The model that it was made of, see [`mains_types::ModelFacts::digest`].
    pub model: Digest,
    /// The importance by which it was quantized, when there was one.
    pub importance: Option<Digest>,
    /// Types by tensor.
    pub types: HashMap<String, BlockFormat>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordFile {
    version: u32,
    bytes: u64,
    head: String,
    sha256: Option<String>,
    model: String,
    importance: Option<String>,
    types: Vec<(String, String)>,
}

/// The record in a file's `bytes`.
///
/// # Errors
/// [`RecordError`] when they are something else, or name a type that there is none of.
pub fn read_record(bytes: &[u8]) -> Result<FileRecord, RecordError> {
    let bad = |error: &dyn std::fmt::Display| RecordError(error.to_string());
    let file: RecordFile = serde_json::from_slice(bytes).map_err(|error| bad(&error))?;
    if file.version != VERSION {
        return Err(RecordError(format!("version {}, not {VERSION}", file.version)));
    }
    let digest = |text: &str| digest(text).map_err(|_| RecordError(format!("{text:?} is no digest")));
    let typed = |(tensor, name): (String, String)| {
        let format = BlockFormat::from_name(&name);
        let format = format.ok_or_else(|| RecordError(format!("{name:?} is no type of tensors")))?;
        Ok((tensor, format))
    };
    Ok(FileRecord {
        bytes: file.bytes,
        head: digest(&file.head)?,
        sha256: file.sha256.as_deref().map(digest).transpose()?,
        model: digest(&file.model)?,
        importance: file.importance.as_deref().map(digest).transpose()?,
        types: file
            .types
            .into_iter()
            .map(typed)
            .collect::<Result<_, RecordError>>()?,
    })
}

/// The bytes of a file with `record`.
#[must_use]
pub fn write_record(record: &FileRecord) -> Vec<u8> {
    let types = record.types.iter();
    let mut types: Vec<_> = types
        .map(|(tensor, format)| (tensor.clone(), format.name().to_owned()))
        .collect();
    types.sort_unstable();
    let file = RecordFile {
        version: VERSION,
        bytes: record.bytes,
        head: record.head.to_string(),
        sha256: record.sha256.map(|digest| digest.to_string()),
        model: record.model.to_string(),
        importance: record.importance.map(|digest| digest.to_string()),
        types,
    };
    serde_json::to_vec(&file).expect("text and numbers are JSON")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use mains_contract::BlockFormat;
    use mains_types::Digest;
    use proptest::prelude::*;

    use super::{FileRecord, read_record, write_record};

    prop_compose! {
        fn any_record()(
            bytes in any::<u64>(),
            [head, model] in any::<[[u8; 32]; 2]>(),
            [sha256, importance] in any::<[Option<[u8; 32]>; 2]>(),
            types in proptest::collection::hash_map("\\PC{0,8}", 0..BlockFormat::ALL.len(), 0..4),
        ) -> FileRecord {
            let types: HashMap<String, BlockFormat> =
                types.into_iter().map(|(name, at)| (name, BlockFormat::ALL[at])).collect();
            FileRecord {
                bytes,
                head: Digest(head),
                sha256: sha256.map(Digest),
                model: Digest(model),
                importance: importance.map(Digest),
                types,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(record in any_record()) {
            prop_assert_eq!(read_record(&write_record(&record)), Ok(record));
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(read_record(&bytes));
        }
    }
}
