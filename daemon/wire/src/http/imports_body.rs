//! Imports on the administration socket: `POST /admin/imports`, `PUT /admin/imports/{id}/files/{number}?offset=` and
//! `POST /admin/imports/{id}/finish`.

use mains_contract::Bytes;
use mains_types::{Digest, ImportFile, ImportKind, ImportRequest, ImportState};
use serde::{Deserialize, Serialize};

use super::RequestError;

/// A model that is to be brought in. Asked for again, it goes on where it stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportBody {
    /// The name that clients will use.
    pub name: String,
    /// `gguf`, `hugging_face` or `tar`.
    pub kind: String,
    /// Where it comes from, for people.
    pub origin: String,
    /// Its files; their numbers count from 0.
    pub files: Vec<ImportFileBody>,
}

/// One file of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportFileBody {
    /// Its name, without folders.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its first MiB in hexadecimal.
    pub head: String,
}

/// The answer to [`ImportBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportStateBody {
    /// What the import is called until it is done.
    pub id: String,
    /// Bytes of each file that are safe on the disk: the next ones start there.
    pub received: Vec<u64>,
}

/// The answer to bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedBody {
    /// Bytes of the file that are safe on the disk.
    pub received: u64,
}

/// The end of an import: what its files are to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishBody {
    /// SHA-256 of each file in hexadecimal, in the order of their numbers.
    pub digests: Vec<String>,
}

/// A line of the answer to [`FinishBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportEvent {
    /// So far it is.
    Progress {
        /// `checking`, `unpacking` or `inspecting`.
        phase: String,
        /// Bytes that are done.
        done: u64,
        /// All of them, when that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<u64>,
    },
    /// It is in the catalogue.
    Imported(ImportedBody),
    /// It is not, and what was there before is as it was.
    Failed {
        /// Why, and what to do.
        error: String,
    },
}

/// A model that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedBody {
    /// Its name.
    pub model: String,
    /// Its family.
    pub family: String,
    /// SHA-256 that its files are stored under.
    pub content: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// How many there are.
    pub files: u64,
    /// Whether the same files were stored already, under another name.
    pub shared: bool,
}

/// The answer to `DELETE /admin/models/{id}?unload=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedBody {
    /// The model.
    pub model: String,
    /// Bytes that are free now; 0 when other names have the same files.
    pub bytes: u64,
    /// Other names of the same files.
    pub shared_with: Vec<String>,
}

impl TryFrom<ImportBody> for ImportRequest {
    type Error = RequestError;

    fn try_from(body: ImportBody) -> Result<Self, RequestError> {
        let kind = ImportKind::from_name(&body.kind)
            .ok_or_else(|| RequestError::invalid("kind", "one of gguf, hugging_face, tar"))?;
        let file = |file: ImportFileBody| {
            Ok(ImportFile {
                name: file.name,
                bytes: Bytes(file.bytes),
                head: digest("files.head", &file.head)?,
            })
        };
        Ok(Self {
            name: body.name,
            kind,
            origin: body.origin,
            files: body.files.into_iter().map(file).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&ImportRequest> for ImportBody {
    fn from(request: &ImportRequest) -> Self {
        let files = request.files.iter().map(|file| ImportFileBody {
            name: file.name.clone(),
            bytes: file.bytes.0,
            head: file.head.to_string(),
        });
        Self {
            name: request.name.clone(),
            kind: request.kind.name().to_owned(),
            origin: request.origin.clone(),
            files: files.collect(),
        }
    }
}

impl From<ImportState> for ImportStateBody {
    fn from(state: ImportState) -> Self {
        Self {
            id: state.id,
            received: state.received.into_iter().map(|bytes| bytes.0).collect(),
        }
    }
}

impl FinishBody {
    /// The digests.
    ///
    /// # Errors
    /// [`RequestError`] when one of them is none.
    pub fn digests(&self) -> Result<Vec<Digest>, RequestError> {
        self.digests.iter().map(|text| digest("digests", text)).collect()
    }
}

fn digest(param: &str, text: &str) -> Result<Digest, RequestError> {
    Digest::from_hex(text)
        .ok_or_else(|| RequestError::invalid(param, "a SHA-256 digest as 64 hexadecimal digits"))
}
