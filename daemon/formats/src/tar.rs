//! What a tar has of a model: which of its files are wanted, and which entries no honest tar of a model has.
//!
//! Nothing is unpacked here: entries are listed, judged by name and kind, and read where they lie.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use ::tar::{Archive, EntryType};
use serde::Deserialize;

/// Entries of a tar at the most: a model's files and a repository's beside them. Each takes 512 bytes of the file, and its name
/// here.
const MAX_ENTRIES: usize = 16_384;

/// Bytes of a path inside a tar (`PATH_MAX` of Linux).
const MAX_PATH_BYTES: usize = 4096;

/// Bytes of an index of weights at the most, as where it is read from a folder.
const MAX_INDEX_BYTES: u64 = 128 << 20;

/// What a Hugging Face folder has beside its weights.
const TEXTS: [&str; 2] = ["json", "jinja"];

const CONFIG: &str = "config.json";
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// A tar that has no model that can be taken.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// It can not be read, or is none.
    #[error("it is no tar, or is cut off: {0}")]
    Read(#[from] io::Error),
    /// One of its entries is refused.
    #[error("{name} {why}")]
    Entry {
        /// Its path, cut to what can be shown.
        name: String,
        /// Why, and what to do.
        why: String,
    },
    /// It has not the files of one model.
    #[error("{0}")]
    NoModel(String),
}

/// A regular file in a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Its path in the tar: plain names, one below the other.
    path: Vec<String>,
    /// Where its bytes begin.
    start: u64,
    /// How many there are.
    pub bytes: u64,
}

impl Packed {
    /// Its name without folders.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    fn folder(&self) -> &[String] {
        self.path.split_last().map_or(&[], |(_, folder)| folder)
    }

    fn extension(&self) -> &str {
        Path::new(self.name())
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default()
    }
}

/// The files of the one model in `tar`, in the order in which they lie there.
///
/// # Errors
/// When it is no tar, has an entry that is refused, or not one model. The entry is named.
pub fn model_files(tar: &mut (impl Read + Seek)) -> Result<Vec<Packed>, TarError> {
    let files = list(tar)?;
    choose(files, |index| weights_of(&read(tar, index)?))
}

/// Every regular file.
fn list(tar: &mut (impl Read + Seek)) -> Result<Vec<Packed>, TarError> {
    let end = tar.seek(SeekFrom::End(0))?;
    tar.seek(SeekFrom::Start(0))?;
    let mut archive = Archive::new(tar);
    let (mut files, mut seen) = (Vec::new(), BTreeSet::new());
    for (number, entry) in archive.entries_with_seek()?.enumerate() {
        if number >= MAX_ENTRIES {
            let why = format!("it has more than {MAX_ENTRIES} entries; pack the model's files alone");
            return Err(TarError::NoModel(why));
        }
        let entry = entry?;
        let raw = entry.path_bytes();
        let refused = |why: &str| refused(&raw, why);
        match entry.header().entry_type() {
            // Of a folder only the names in it matter, and notes for all entries are not needed.
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Regular | EntryType::Continuous => {}
            other => {
                let why = format!(
                    "is {}: only plain files are taken; pack the files themselves",
                    word(other)
                );
                return Err(refused(&why));
            }
        }
        let path = plain(&raw).map_err(|why| refused(&why))?;
        if !seen.insert(path.clone()) {
            return Err(refused("is in it twice"));
        }
        let (start, bytes) = (entry.raw_file_position(), entry.size());
        if start.checked_add(bytes).is_none_or(|last| last > end) {
            return Err(refused("is cut off: the tar ends before it does"));
        }
        files.push(Packed { path, start, bytes });
    }
    Ok(files)
}

/// The files of the one model among `files`. `weights` reads an index: the names of the files that it leads to.
fn choose(
    files: Vec<Packed>,
    weights: impl FnOnce(&Packed) -> Result<BTreeSet<String>, TarError>,
) -> Result<Vec<Packed>, TarError> {
    let mut roots: BTreeMap<usize, BTreeSet<Vec<String>>> = BTreeMap::new();
    let has_config = files.iter().any(|file| file.name() == CONFIG);
    let marks = |file: &&Packed| match has_config {
        true => file.name() == CONFIG,
        false => file.extension() == "gguf" && !file.name().starts_with('.'),
    };
    for file in files.iter().filter(marks) {
        roots
            .entry(file.path.len())
            .or_default()
            .insert(file.folder().to_vec());
    }
    let Some((_, nearest)) = roots.pop_first() else {
        return Err(TarError::NoModel(
            "it has neither a GGUF file nor a config.json".to_owned(),
        ));
    };
    let mut nearest = nearest.into_iter();
    let root = nearest.next().unwrap_or_default();
    if let Some(other) = nearest.next() {
        let (one, other) = (root.join("/"), other.join("/"));
        let why = format!("it has more than one model, in {one:?} and {other:?}; pack one");
        return Err(TarError::NoModel(why));
    }
    let here: Vec<Packed> = files.into_iter().filter(|file| file.folder() == root).collect();
    if !has_config {
        return Ok(here
            .into_iter()
            .filter(|file| file.extension() == "gguf")
            .collect());
    }
    let find = |name: &str| here.iter().find(|file| file.name() == name);
    let wanted = match (find(SINGLE), find(INDEX)) {
        (Some(_), _) => [SINGLE.to_owned()].into(),
        (None, Some(index)) => weights(index)?,
        (None, None) => {
            let why = format!("beside config.json it has neither {SINGLE} nor {INDEX}");
            return Err(TarError::NoModel(why));
        }
    };
    let belongs = |file: &Packed| {
        !file.name().starts_with('.') && (TEXTS.contains(&file.extension()) || wanted.contains(file.name()))
    };
    Ok(here.into_iter().filter(belongs).collect())
}

/// The names of files in an index of weights.
fn weights_of(index: &[u8]) -> Result<BTreeSet<String>, TarError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index = serde_json::from_slice(index)
        .map_err(|error| TarError::NoModel(format!("{INDEX} is none: {error}")))?;
    Ok(index.weight_map.into_values().collect())
}

/// The bytes of a small file.
fn read(tar: &mut (impl Read + Seek), file: &Packed) -> Result<Vec<u8>, TarError> {
    if file.bytes > MAX_INDEX_BYTES {
        let why = format!("has {} bytes, at most {MAX_INDEX_BYTES} are read", file.bytes);
        return Err(refused(file.name().as_bytes(), &why));
    }
    let mut bytes = Vec::new();
    reader(tar, file)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes of a file, from its first.
///
/// # Errors
/// When the tar can not be read.
pub fn reader<'a, R: Read + Seek>(tar: &'a mut R, file: &Packed) -> io::Result<io::Take<&'a mut R>> {
    tar.seek(SeekFrom::Start(file.start))?;
    Ok(tar.take(file.bytes))
}

/// The plain names of a path, without `.` at its start, or what is wrong with it.
fn plain(raw: &[u8]) -> Result<Vec<String>, String> {
    if raw.len() > MAX_PATH_BYTES {
        return Err(format!("has a path of more than {MAX_PATH_BYTES} bytes"));
    }
    let path = std::str::from_utf8(raw).map_err(|_| "has a name that is no UTF-8".to_owned())?;
    let path = path.strip_prefix("./").unwrap_or(path);
    let names: Vec<String> = path.split('/').map(str::to_owned).collect();
    let good = |name: &String| !name.is_empty() && name != "." && name != ".." && !name.contains('\0');
    if names.iter().all(good) {
        Ok(names)
    } else {
        Err("leads elsewhere; pack the model's folder by its name".to_owned())
    }
}

fn refused(raw: &[u8], why: &str) -> TarError {
    /// Characters of a name that an error shows.
    const SHOWN: usize = 100;
    let name: String = String::from_utf8_lossy(raw).chars().take(SHOWN).collect();
    TarError::Entry {
        name: format!("{name:?}"),
        why: why.to_owned(),
    }
}

fn word(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Symlink => "a symbolic link",
        EntryType::Link => "a hard link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "of a kind that is not known",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use ::tar::{Builder, EntryType, Header};
    use proptest::prelude::*;

    use super::{MAX_ENTRIES, model_files, plain, reader};

    /// A tar of these entries; names go in as they are.
    fn tar(entries: &[(&str, EntryType, &[u8])]) -> Cursor<Vec<u8>> {
        let mut builder = Builder::new(Vec::new());
        for (name, kind, bytes) in entries {
            let mut header = Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        Cursor::new(builder.into_inner().unwrap())
    }

    fn names(entries: &[(&str, &[u8])]) -> Result<Vec<String>, String> {
        let entries: Vec<_> = entries
            .iter()
            .map(|(name, bytes)| (*name, EntryType::Regular, *bytes))
            .collect();
        let files = model_files(&mut tar(&entries)).map_err(|error| error.to_string())?;
        Ok(files.iter().map(|file| file.name().to_owned()).collect())
    }

    #[test]
    fn a_models_files_are_found_and_others_left() {
        let index = br#"{"weight_map": {"a": "w-1.safetensors"}}"#;
        let found = names(&[
            ("./m/original/params.json", b"{}"),
            ("./m/README.md", b"hello"),
            ("./m/._config.json", b"?"),
            ("./m/w-1.safetensors", b"1"),
            ("./m/consolidated.safetensors", b"2"),
            ("./m/config.json", b"{}"),
            ("./m/model.safetensors.index.json", index),
        ]);
        let expected = ["w-1.safetensors", "config.json", "model.safetensors.index.json"];
        assert_eq!(found.unwrap(), expected);
        assert_eq!(
            names(&[("a.gguf", b"GGUF"), ("notes.txt", b"")]).unwrap(),
            ["a.gguf"]
        );
    }

    #[test]
    fn bytes_are_read_where_they_lie() {
        let mut tar = tar(&[
            ("x.txt", EntryType::Regular, &[7; 700]),
            ("a.gguf", EntryType::Regular, b"GGUF and more"),
        ]);
        let files = model_files(&mut tar).unwrap();
        let mut bytes = Vec::new();
        reader(&mut tar, &files[0])
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(bytes, b"GGUF and more");
    }

    #[test]
    fn what_no_honest_tar_has_is_refused_by_name() {
        for (name, kind, word) in [
            ("../x.gguf", EntryType::Regular, "leads elsewhere"),
            ("a/../../x.gguf", EntryType::Regular, "leads elsewhere"),
            ("/etc/x.gguf", EntryType::Regular, "leads elsewhere"),
            ("a//x.gguf", EntryType::Regular, "leads elsewhere"),
            ("x.gguf", EntryType::Symlink, "symbolic link"),
            ("x.gguf", EntryType::Link, "hard link"),
            ("x.gguf", EntryType::Char, "device"),
            ("x.gguf", EntryType::Block, "device"),
            ("x.gguf", EntryType::Fifo, "pipe"),
        ] {
            let mut tar = tar(&[("a.gguf", EntryType::Regular, b"GGUF"), (name, kind, b"")]);
            let error = model_files(&mut tar).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains(name), "{error}");
        }
        let twice = names(&[("a.gguf", b"1"), ("./a.gguf", b"2")]).unwrap_err();
        assert!(twice.contains("twice"), "{twice}");
        let two = names(&[("a/a.gguf", b"1"), ("b/b.gguf", b"2")]).unwrap_err();
        assert!(two.contains("more than one model"), "{two}");
        let none = names(&[("a.txt", b"1")]).unwrap_err();
        assert!(none.contains("neither"), "{none}");
    }

    #[test]
    fn too_many_entries_and_a_cut_tar_are_refused() {
        let many: Vec<_> = (0..=MAX_ENTRIES).map(|number| format!("{number}.txt")).collect();
        let entries: Vec<_> = many
            .iter()
            .map(|name| (name.as_str(), EntryType::Regular, &b""[..]))
            .collect();
        let error = model_files(&mut tar(&entries)).unwrap_err().to_string();
        assert!(error.contains("more than"), "{error}");
        let mut cut = tar(&[("a.gguf", EntryType::Regular, &[1; 2000])]).into_inner();
        cut.truncate(1000);
        let error = model_files(&mut Cursor::new(cut)).unwrap_err().to_string();
        assert!(error.contains("cut off"), "{error}");
    }

    proptest! {
        #[test]
        fn a_path_that_is_taken_stays_below(path in "[./a\\PC]{0,12}") {
            if let Ok(names) = plain(path.as_bytes()) {
                let plain = |name: &String| !["", ".", ".."].contains(&name.as_str()) && !name.contains('/');
                prop_assert!(names.iter().all(plain));
            }
        }

        #[test]
        fn damaged_tars_are_a_model_or_an_error(at in 0..2048_usize, byte in any::<u8>(), cut in 0..3000_usize) {
            let mut bytes = tar(&[
                ("m/config.json", EntryType::Regular, b"{}"),
                ("m/model.safetensors", EntryType::Regular, b"weights"),
            ]).into_inner();
            bytes[at] = byte;
            bytes.truncate(cut.max(512));
            if let Ok(files) = model_files(&mut Cursor::new(&bytes)) {
                let most = bytes.len() as u64;
                prop_assert!(files.iter().all(|file| file.bytes <= most));
            }
        }
    }
}
