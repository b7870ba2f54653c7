//! What is at a path: a GGUF file, the parts of one, a Hugging Face folder, or a tar of either.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mains_types::{ImportKind, ModelKind, model_files, split_part};
use serde_json::Value;

/// Bytes of a file that show what it is: a tar says so at byte 257.
const SHOWN_BYTES: u64 = 512;

/// Where a tar says what it is, and how (POSIX ustar, and GNU's older form begins alike).
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");

/// How compressed files begin, and what unpacks them.
const COMPRESSED: [(&[u8], &str, &str); 5] = [
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -d"),
    (b"\xfd7zXZ", "xz", "unxz"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"PK\x03\x04", "zip", "unzip"),
];

/// Bytes of `model.safetensors.index.json` at the most; the daemon's worker has the same bound.
const MAX_INDEX_BYTES: u64 = 128 << 20;

/// A model's files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// What they are.
    pub(crate) kind: ImportKind,
    /// The model's name when nobody gives one.
    pub(crate) name: String,
    /// Where it is, for people.
    pub(crate) origin: String,
    /// The files.
    pub(crate) files: Vec<SourceFile>,
    /// Names beside them that are no part of the model.
    pub(crate) left_out: Vec<String>,
}

/// One file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SourceFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// A path that has no model.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The system refused.
    #[error("{}: {error}", .path.display())]
    Io {
        /// On what.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// It is something else.
    #[error("{} {why}", .path.display())]
    NoModel {
        /// The path.
        path: PathBuf,
        /// What it is, and what to give instead.
        why: String,
    },
}

impl Source {
    /// The model at `path`.
    ///
    /// # Errors
    /// [`SourceError`] says what is there instead, and what to do.
    pub(crate) fn find(path: &Path) -> Result<Self, SourceError> {
        let whole = path.canonicalize().map_err(|error| io_at(path, error))?;
        let found = if whole.is_dir() {
            folder(&whole)
        } else {
            file(&whole)
        }?;
        Ok(Self {
            origin: whole.display().to_string(),
            ..found
        })
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

fn file(path: &Path) -> Result<Source, SourceError> {
    let shown = beginning(path)?;
    let name = name_of(path);
    let (at, magic) = TAR_MAGIC;
    if shown.starts_with(b"GGUF") {
        gguf(path, &name)
    } else if shown.get(at..at + magic.len()) == Some(magic) {
        let stem = name.strip_suffix(".tar").unwrap_or(&name).to_owned();
        source(ImportKind::Tar, stem, vec![(name, path.to_owned())])
    } else if let Some((_, format, tool)) = COMPRESSED.iter().find(|(magic, ..)| shown.starts_with(magic)) {
        let why = format!("is compressed with {format}: unpack it first, with `{tool}`");
        Err(no_model(path, &why))
    } else {
        let why = "is no GGUF file, no tar and no Hugging Face folder (one with config.json)";
        Err(no_model(path, why))
    }
}

fn gguf(path: &Path, name: &str) -> Result<Source, SourceError> {
    let kind = ImportKind::Files(ModelKind::Gguf);
    match split_part(name) {
        Some((stem, 1, count)) if count > 1 => {
            let parts = model_files(path).into_iter();
            source(
                kind,
                stem.to_owned(),
                parts.map(|part| (name_of(&part), part)).collect(),
            )
        }
        Some((_, number, count)) if count > 1 => {
            let why = format!("is part {number} of {count} of a split model; give the first of its files");
            Err(no_model(path, &why))
        }
        _ => {
            let stem = name.strip_suffix(".gguf").unwrap_or(name).to_owned();
            let file = format!("{stem}.gguf");
            source(kind, stem, vec![(file, path.to_owned())])
        }
    }
}

fn folder(path: &Path) -> Result<Source, SourceError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| io_at(path, error))? {
        let entry = entry.map_err(|error| io_at(path, error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    if !names.iter().any(|name| name == "config.json") {
        let ggufs: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| name.ends_with(".gguf"))
            .collect();
        let why = match ggufs.as_slice() {
            [] => "has no config.json: it is no Hugging Face folder".to_owned(),
            files => format!(
                "has no config.json; give the GGUF file itself: {}",
                files.join(", ")
            ),
        };
        return Err(no_model(path, &why));
    }
    let weights = weights(path, &names)?;
    let belongs = |name: &String| {
        let text = name.ends_with(".json") || name.ends_with(".jinja");
        !name.starts_with('.') && (text || weights.contains(name)) && path.join(name).is_file()
    };
    let (taken, left_out): (Vec<_>, Vec<_>) = names.into_iter().partition(belongs);
    let files = taken
        .into_iter()
        .map(|name| (name.clone(), path.join(name)))
        .collect();
    let found = source(ImportKind::Files(ModelKind::HuggingFace), name_of(path), files)?;
    Ok(Source { left_out, ..found })
}

/// The safetensors files that the model is in: one, or those that the index names.
fn weights(path: &Path, names: &[String]) -> Result<BTreeSet<String>, SourceError> {
    let (single, index) = ("model.safetensors", "model.safetensors.index.json");
    let has = |name: &str| names.iter().any(|other| other == name);
    if has(single) {
        return Ok([single.to_owned()].into());
    }
    if !has(index) {
        let why = "has neither model.safetensors nor its index (PyTorch's .bin files are not read)";
        return Err(no_model(path, why));
    }
    let at = path.join(index);
    let mut text = String::new();
    File::open(&at)
        .and_then(|file| file.take(MAX_INDEX_BYTES).read_to_string(&mut text))
        .map_err(|error| io_at(&at, error))?;
    let parsed: Value =
        serde_json::from_str(&text).map_err(|error| no_model(&at, &format!("is no JSON: {error}")))?;
    let map = parsed["weight_map"]
        .as_object()
        .into_iter()
        .flat_map(|map| map.values());
    Ok(map.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn source(kind: ImportKind, name: String, files: Vec<(String, PathBuf)>) -> Result<Source, SourceError> {
    let file = |(name, path): (String, PathBuf)| match fs::metadata(&path) {
        Ok(found) if found.is_file() => Ok(SourceFile {
            name,
            bytes: found.len(),
            path,
        }),
        Ok(_) => Err(no_model(&path, "is no regular file")),
        Err(error) => Err(io_at(&path, error)),
    };
    Ok(Source {
        kind,
        name,
        origin: String::new(),
        files: files.into_iter().map(file).collect::<Result<_, _>>()?,
        left_out: Vec::new(),
    })
}

fn beginning(path: &Path) -> Result<Vec<u8>, SourceError> {
    let mut shown = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SHOWN_BYTES).read_to_end(&mut shown));
    read.map_err(|error| io_at(path, error))?;
    Ok(shown)
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn io_at(path: &Path, error: io::Error) -> SourceError {
    let path = path.to_owned();
    SourceError::Io { path, error }
}

fn no_model(path: &Path, why: &str) -> SourceError {
    let (path, why) = (path.to_owned(), why.to_owned());
    SourceError::NoModel { path, why }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::Source;

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        fs::write(folder.join(name), bytes).unwrap();
    }

    fn names(source: &Source) -> Vec<&str> {
        source.files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn a_folder_is_taken_without_what_is_no_part_of_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for (name, text) in [
            ("config.json", "{}"),
            ("tokenizer.json", "{}"),
            ("chat_template.jinja", ""),
            ("README.md", ""),
            ("pytorch_model.bin", ""),
            ("consolidated.safetensors", ""),
            ("a-1.safetensors", "12"),
            (
                "model.safetensors.index.json",
                r#"{"weight_map": {"x": "a-1.safetensors"}}"#,
            ),
        ] {
            write(path, name, text.as_bytes());
        }
        let source = Source::find(path).unwrap();
        let taken = [
            "a-1.safetensors",
            "chat_template.jinja",
            "config.json",
            "model.safetensors.index.json",
            "tokenizer.json",
        ];
        assert_eq!(
            (source.kind.name(), names(&source)),
            ("hugging_face", taken.to_vec())
        );
        assert_eq!(
            source.left_out,
            ["README.md", "consolidated.safetensors", "pytorch_model.bin"]
        );
        assert_eq!(source.name, path.file_name().unwrap().to_str().unwrap());
    }

    #[test]
    fn files_are_known_by_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        write(path, "a", b"GGUF...");
        write(path, "b-00001-of-00002.gguf", b"GGUF1");
        write(path, "b-00002-of-00002.gguf", b"GGUF2");
        let mut tar = vec![0; 600];
        tar[257..262].copy_from_slice(b"ustar");
        write(path, "c.tar", &tar);
        let find = |name: &str| Source::find(&path.join(name)).unwrap();
        assert_eq!((names(&find("a")), &*find("a").name), (vec!["a.gguf"], "a"));
        let split = find("b-00001-of-00002.gguf");
        assert_eq!((names(&split).len(), &*split.name, split.bytes()), (2, "b", 10));
        assert_eq!((find("c.tar").kind.name(), &*find("c.tar").name), ("tar", "c"));
    }

    #[test]
    fn what_is_no_model_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        write(path, "b-00002-of-00002.gguf", b"GGUF");
        write(path, "c-00001-of-00002.gguf", b"GGUF");
        write(path, "d.tar.zst", b"\x28\xb5\x2f\xfd");
        write(path, "e.txt", b"hello");
        for (name, word) in [
            ("b-00002-of-00002.gguf", "part 2 of 2"),
            ("c-00001-of-00002.gguf", "c-00002-of-00002.gguf: No such file"),
            ("d.tar.zst", "zstd -d"),
            ("e.txt", "no GGUF file"),
            ("none", "No such file"),
            ("", "give the GGUF file itself: b-"),
        ] {
            let error = Source::find(&path.join(name)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
