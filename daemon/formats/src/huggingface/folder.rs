//! An open Hugging Face folder.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::shard::{Record, Shard};
use super::{packed, template};
use crate::error::at_most;
use crate::map::Bytes;
use crate::{FormatError, Reason, Tensor};

/// Bytes of a JSON or template file. The largest published `tokenizer.json` has 35 MB.
const MAX_TEXT_BYTES: u64 = 128 << 20;
/// Safetensors files in a folder. The largest published models have under 200.
const MAX_SHARDS: u64 = 1024;

/// A folder as `save_pretrained` of the `transformers` library writes it: checked whole, tensors mapped.
#[derive(Debug)]
pub struct HuggingFace {
    folder: PathBuf,
    /// `config.json`.
    pub config: Value,
    /// `generation_config.json`, when there is one.
    pub generation_config: Option<Value>,
    /// The bytes of `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// `tokenizer_config.json`, when there is one.
    pub tokenizer_config: Option<Value>,
    /// `chat_template.jinja`, or else the template inside `tokenizer_config.json`, when there is one.
    pub chat_template: Option<String>,
    shards: Vec<Bytes>,
    /// Each with the index of its shard.
    tensors: Vec<(usize, Record)>,
    by_name: HashMap<String, usize>,
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    /// Tensor to file name.
    weight_map: BTreeMap<String, String>,
}

impl HuggingFace {
    /// Reads the folder at `folder`.
    ///
    /// # Errors
    /// [`FormatError`] with the file and what is wrong: a file is missing, is not what it should be, leads out of the
    /// folder, or the checkpoint is quantized.
    pub fn open(folder: &Path) -> Result<Self, FormatError> {
        let config = require_json(
            folder,
            "config.json",
            "it is not a Hugging Face model folder; give the folder that holds config.json, or a GGUF file",
        )?;
        packed::refuse_config(&config).map_err(|reason| reason.at(&folder.join("config.json")))?;
        let generation_config = json(folder, "generation_config.json")?;
        let tokenizer = bytes(folder, "tokenizer.json")?.ok_or_else(|| {
            let hint = "save the model's tokenizer in the form of the tokenizers library";
            Reason::Missing {
                name: "tokenizer.json",
                hint,
            }
            .at(folder)
        })?;
        let tokenizer_config: Option<Value> = json(folder, "tokenizer_config.json")?;
        let chat_template = chat_template(folder, tokenizer_config.as_ref())?;
        let (shards, tensors) = open_shards(folder)?;
        let by_name = tensors
            .iter()
            .enumerate()
            .map(|(index, (_, record))| (record.name.clone(), index))
            .collect();
        Ok(Self {
            folder: folder.to_owned(),
            config,
            generation_config,
            tokenizer,
            tokenizer_config,
            chat_template,
            shards,
            tensors,
            by_name,
        })
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Gives the memory of a tensor's bytes, or of a part of them, back to the system until they are next read.
    pub fn release(&self, bytes: &[u8]) {
        self.shards.iter().for_each(|shard| shard.release(bytes));
    }

    /// Bytes of the safetensors files.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.len() as u64).sum()
    }

    /// Every tensor, by file and in the order of its data.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> {
        self.tensors
            .iter()
            .map(|(shard, record)| self.view(*shard, record))
    }

    /// The tensor called `name`, or `None` when the folder does not have it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Tensor<'_>> {
        let (shard, record) = self.by_name.get(name).map(|index| &self.tensors[*index])?;
        Some(self.view(*shard, record))
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// [`Reason::Tensor`] when the folder does not have it.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, FormatError> {
        self.find(name)
            .ok_or_else(|| Reason::tensor(name, "is missing").at(&self.folder))
    }

    fn view<'a>(&'a self, shard: usize, record: &'a Record) -> Tensor<'a> {
        Tensor {
            name: &record.name,
            format: record.format,
            dims: &record.dims,
            rows: record.rows,
            cols: record.cols,
            bytes: &self.shards[shard][record.start..record.start + record.bytes],
        }
    }
}

fn chat_template(folder: &Path, tokenizer_config: Option<&Value>) -> Result<Option<String>, FormatError> {
    let name = "chat_template.jinja";
    if let Some(raw) = bytes(folder, name)? {
        let text = String::from_utf8(raw).map_err(|error| {
            let at = error.utf8_error().valid_up_to() as u64;
            Reason::Text {
                what: "the template",
                at,
            }
            .at(&folder.join(name))
        });
        return text.map(Some);
    }
    tokenizer_config
        .map_or(Ok(None), template::in_tokenizer_config)
        .map_err(|reason| reason.at(&folder.join("tokenizer_config.json")))
}

type Shards = (Vec<Bytes>, Vec<(usize, Record)>);

fn open_shards(folder: &Path) -> Result<Shards, FormatError> {
    let single = "model.safetensors";
    if folder.join(single).exists() {
        let (map, shard) = open_shard(folder, single)?;
        return Ok((
            vec![map],
            shard.tensors.into_iter().map(|record| (0, record)).collect(),
        ));
    }
    let name = "model.safetensors.index.json";
    let Index { weight_map } = require_json(
        folder,
        name,
        "it has no model.safetensors either; save the weights as safetensors (PyTorch's .bin files are not read)",
    )?;
    let at_index = |reason: Reason| reason.at(&folder.join(name));
    let files: BTreeSet<&str> = weight_map.values().map(String::as_str).collect();
    at_most("the number of safetensors files", files.len() as u64, MAX_SHARDS).map_err(at_index)?;
    let (mut maps, mut tensors) = (Vec::new(), Vec::new());
    for (index, file) in files.into_iter().enumerate() {
        if !is_inside(file) {
            return Err(at_index(Reason::FileName(file.to_owned())));
        }
        let (map, shard) = open_shard(folder, file)?;
        // A tensor is where the index says; others that a file may hold are not part of the model.
        let listed = |record: &Record| weight_map.get(&record.name).is_some_and(|found| found == file);
        tensors.extend(
            shard
                .tensors
                .into_iter()
                .filter(listed)
                .map(|record| (index, record)),
        );
        maps.push(map);
    }
    if tensors.len() < weight_map.len() {
        let found: BTreeSet<&str> = tensors.iter().map(|(_, record)| record.name.as_str()).collect();
        if let Some((missing, file)) = weight_map.iter().find(|(name, _)| !found.contains(name.as_str())) {
            return Err(at_index(Reason::tensor(missing, format!("is not in {file}"))));
        }
    }
    Ok((maps, tensors))
}

fn open_shard(folder: &Path, name: &str) -> Result<(Bytes, Shard), FormatError> {
    let path = folder.join(name);
    let map = Bytes::open(&path)?;
    let shard = Shard::parse(&map).map_err(|reason| reason.at(&path))?;
    Ok((map, shard))
}

/// Whether a file name of an index can not lead out of the folder.
fn is_inside(name: &str) -> bool {
    let mut components = Path::new(name).components();
    !name.is_empty() && components.all(|component| matches!(component, Component::Normal(_)))
}

fn require_json<T: serde::de::DeserializeOwned>(
    folder: &Path,
    name: &'static str,
    hint: &'static str,
) -> Result<T, FormatError> {
    json(folder, name)?.ok_or_else(|| Reason::Missing { name, hint }.at(folder))
}

fn json<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, FormatError> {
    let Some(raw) = bytes(folder, name)? else {
        return Ok(None);
    };
    let parsed = serde_json::from_slice(&raw);
    parsed
        .map(Some)
        .map_err(|error| Reason::Json(error.to_string()).at(&folder.join(name)))
}

/// The bytes of a file of the folder, or `None` when it is not there.
fn bytes(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, FormatError> {
    let path = folder.join(name);
    let read = || -> Result<Option<Vec<u8>>, Reason> {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !file.metadata()?.is_file() {
            return Err(Reason::Kind("is not a regular file".to_owned()));
        }
        let mut raw = Vec::new();
        file.take(MAX_TEXT_BYTES + 1).read_to_end(&mut raw)?;
        at_most("its size in bytes", raw.len() as u64, MAX_TEXT_BYTES)?;
        Ok(Some(raw))
    };
    read().map_err(|reason| reason.at(&path))
}

#[cfg(test)]
mod tests {
    use super::is_inside;

    #[test]
    fn only_files_inside_the_folder_are_named() {
        assert!(is_inside("model-00001-of-00002.safetensors") && is_inside("part/a.safetensors"));
        for outside in ["", "..", "../a", "/etc/passwd", "a/../../b", "./../a"] {
            assert!(!is_inside(outside), "{outside}");
        }
    }
}
