//! Models that are brought into the store: what comes, and what is kept of it.

use mains_contract::Bytes;

use crate::Digest;

/// What a model's files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelKind {
    /// One GGUF file, or the parts of a split one.
    Gguf,
    /// The files of a Hugging Face folder.
    HuggingFace,
}

impl ModelKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Gguf, Self::HuggingFace];

    /// The word that files and JSON carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::HuggingFace => "hugging_face",
        }
    }

    /// The kind called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How a model comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImportKind {
    /// As its own files.
    Files(ModelKind),
    /// As one tar of either kind, not compressed.
    Tar,
}

impl ImportKind {
    /// The word that files and JSON carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files(kind) => kind.name(),
            Self::Tar => "tar",
        }
    }

    /// The kind called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "tar" => Some(Self::Tar),
            other => ModelKind::from_name(other).map(Self::Files),
        }
    }
}

/// A model that somebody wants to bring in. The same one, asked for again, goes on where it stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRequest {
    /// The name that clients will use.
    pub name: String,
    /// How it comes.
    pub kind: ImportKind,
    /// Where it comes from, for people.
    pub origin: String,
    /// Its files, in the order in which they are numbered.
    pub files: Vec<ImportFile>,
}

/// One file of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFile {
    /// Its name, without folders.
    pub name: String,
    /// Its size.
    pub bytes: Bytes,
    /// SHA-256 of its first MiB, or of all of it when it is shorter: files of equal names and sizes are told apart by it.
    pub head: Digest,
}

/// How far an import is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportState {
    /// What it is called until it is done.
    pub id: String,
    /// Bytes of each file that are safe on the disk.
    pub received: Vec<Bytes>,
}

/// What is kept of an imported model beside its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What its files are.
    pub kind: ModelKind,
    /// Its files, in order of their names.
    pub files: Vec<StoredFile>,
    /// Where it came from, for people.
    pub origin: String,
    /// When it was imported, seconds since 1970.
    pub imported: u64,
    /// [`ModelFacts::digest`](crate::ModelFacts::digest): what was measured and made of it is kept under it.
    pub model: Digest,
}

impl Manifest {
    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// One file of an imported model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredFile {
    /// Its name, without folders.
    pub name: String,
    /// Its size.
    pub bytes: Bytes,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}
