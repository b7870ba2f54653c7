//! `GET /v1/models/{id}/details`: what is known of a model on disk.

use std::collections::BTreeMap;

use mains_types::{Manifest, ModelFacts, ModelSource};
use serde::{Deserialize, Serialize};

use super::SensitivityStatus;

/// A model as `mains show` tells it. Fields are absent when unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetailsBody {
    /// Its name.
    pub model: String,
    /// What its files call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Architecture, such as `qwen3`.
    pub family: String,
    /// Weights that were learned.
    pub parameters: u64,
    /// Layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Positions that it was made for.
    pub context: u32,
    /// Tokens in its vocabulary.
    pub vocabulary: u32,
    /// What kind of tokenizer it has, as its files call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// Whether it has a chat template.
    pub chat: bool,
    /// Its licence, as its files tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// SHA-256 of its files; what is measured and made of it is kept under it.
    pub digest: String,
    /// Its file or folder.
    pub path: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// `embedded`, `configured`, `folder` or `imported`.
    pub origin: String,
    /// Where an imported one came from, and its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportDetails>,
    /// Its tensors by type, the most bytes first.
    pub types: Vec<TypeDetails>,
    /// Drivers that compute it.
    pub drivers: Vec<String>,
    /// Drivers that do not, and what they lack.
    pub lacks: BTreeMap<String, String>,
    /// Whether it was measured what other types of its tensors cost in quality: then plans may choose them.
    pub measured: bool,
    /// How far that measurement is.
    #[serde(default)]
    pub sensitivity: SensitivityStatus,
    /// Files that were made of it: by their names, which begin with the digest of their weights, and their bytes.
    pub made: BTreeMap<String, u64>,
}

/// What is known of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportDetails {
    /// Where it came from.
    pub from: String,
    /// When, seconds since 1970.
    pub at: u64,
    /// Its files.
    pub files: Vec<FileDetails>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDetails {
    /// Its name in the store.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// Tensors of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeDetails {
    /// The type.
    #[serde(rename = "type")]
    pub format: String,
    /// How many there are.
    pub tensors: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl DetailsBody {
    /// What `facts` and, for an imported model, `manifest` say of the model at `source`, whose measurement is at
    /// `sensitivity` and of which these files were `made`.
    #[must_use]
    pub fn new(
        source: &ModelSource,
        manifest: Option<&Manifest>,
        facts: &ModelFacts,
        sensitivity: SensitivityStatus,
        made: BTreeMap<String, u64>,
    ) -> Self {
        let about = &facts.about;
        Self {
            model: source.name.clone(),
            title: about.title.clone(),
            family: facts.family.clone(),
            parameters: facts.parameters,
            layers: facts.layers,
            width: facts.width,
            context: facts.context,
            vocabulary: facts.vocabulary,
            tokenizer: about.tokenizer.clone(),
            chat: facts.chat,
            licence: about.licence.clone(),
            digest: facts.digest.to_string(),
            path: source.path.display().to_string(),
            bytes: source.bytes.0,
            origin: source.origin.name().to_owned(),
            import: manifest.map(import),
            types: types(facts),
            drivers: facts.costs.iter().map(|costs| costs.driver.clone()).collect(),
            lacks: facts.unsupported.iter().cloned().collect(),
            measured: facts.sensitivity.is_some(),
            sensitivity,
            made,
        }
    }
}

fn import(manifest: &Manifest) -> ImportDetails {
    let file = |file: &mains_types::StoredFile| FileDetails {
        name: file.name.clone(),
        bytes: file.bytes.0,
        sha256: file.digest.to_string(),
    };
    ImportDetails {
        from: manifest.origin.clone(),
        at: manifest.imported,
        files: manifest.files.iter().map(file).collect(),
    }
}

fn types(facts: &ModelFacts) -> Vec<TypeDetails> {
    let mut by_type: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for tensor in &facts.tensors {
        let (tensors, bytes) = by_type.entry(tensor.format.name()).or_default();
        *tensors += 1;
        *bytes = bytes.saturating_add(tensor.bytes().0);
    }
    let mut types: Vec<TypeDetails> = by_type
        .into_iter()
        .map(|(format, (tensors, bytes))| TypeDetails {
            format: format.to_owned(),
            tensors,
            bytes,
        })
        .collect();
    types.sort_by_key(|of| std::cmp::Reverse(of.bytes));
    types
}
