//! SHA-256 of a model's files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use mains_contract::Bytes;
use mains_types::{Digest, model_files};
use sha2::{Digest as _, Sha256};

/// Bytes that are hashed between two beats: a few milliseconds.
const CHUNK_BYTES: usize = 4 << 20;

/// Files of a Hugging Face folder that make the model what it is; others are notes for people.
const EXTENSIONS: [&str; 3] = ["json", "jinja", "safetensors"];

/// The digest of the file at `path`, as `sha256sum` prints it, and its size. For a folder the digest of a list, a line for each
/// file that matters in order of their names: digest in hexadecimal, two spaces, name; for a split model the same with the
/// number of each part in place of its name. `beat` is called after every chunk.
pub(super) fn of(path: &Path, mut beat: impl FnMut() -> Result<()>) -> Result<(Digest, Bytes)> {
    let listed = files(path)?;
    if let ([(_, file)], false) = (listed.as_slice(), path.is_dir()) {
        return of_file(file, &mut beat);
    }
    let mut list = Sha256::new();
    let mut total = Bytes::ZERO;
    for (name, file) in listed {
        let (digest, bytes) = of_file(&file, &mut beat)?;
        list.update(format!("{digest}  {name}\n"));
        total += bytes;
    }
    Ok((Digest(list.finalize().into()), total))
}

/// The bytes that [`of`] reads, without reading them.
pub(super) fn bytes(path: &Path) -> Result<Bytes> {
    let size = |(_, file): (String, PathBuf)| {
        let found = std::fs::metadata(&file).with_context(|| file.display().to_string())?;
        Ok(Bytes(found.len()))
    };
    files(path)?.into_iter().map(size).sum()
}

/// The files of the model at `path`, each by what it is called in the list.
fn files(path: &Path) -> Result<Vec<(String, PathBuf)>> {
    if path.is_dir() {
        return files_of_folder(path);
    }
    let numbered = (1..).zip(model_files(path));
    Ok(numbered
        .map(|(number, part): (u32, _)| (number.to_string(), part))
        .collect())
}

fn files_of_folder(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        let matters = path
            .extension()
            .is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known));
        if !matters || !path.is_file() {
            continue;
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            bail!("{}: the file's name is no UTF-8", path.display());
        };
        files.push((name.to_owned(), path));
    }
    files.sort();
    Ok(files)
}

fn of_file(path: &Path, beat: &mut impl FnMut() -> Result<()>) -> Result<(Digest, Bytes)> {
    let at = || path.display().to_string();
    let mut file = File::open(path).with_context(at)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut total = Bytes::ZERO;
    loop {
        let read = file.read(&mut chunk).with_context(at)?;
        if read == 0 {
            return Ok((Digest(hash.finalize().into()), total));
        }
        hash.update(&chunk[..read]);
        total += Bytes::from(read);
        beat()?;
    }
}

#[cfg(test)]
mod tests {
    use mains_contract::Bytes;

    use super::{bytes, of};

    #[test]
    fn a_file_has_the_digest_that_sha256sum_prints() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gguf");
        std::fs::write(&path, "abc").unwrap();
        let (digest, size) = of(&path, || Ok(())).unwrap();
        // FIPS 180-4, example of one block.
        assert_eq!(
            digest.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!((size, bytes(&path).unwrap()), (Bytes(3), Bytes(3)));
    }

    #[test]
    fn a_split_model_is_all_its_parts_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &str| std::fs::write(folder.path().join(name), bytes).unwrap();
        for (part, bytes) in [("00001", "one"), ("00002", "two")] {
            write(&format!("a-{part}-of-00002.gguf"), bytes);
            write(&format!("b-{part}-of-00002.gguf"), bytes);
            write(&format!("c-{part}-of-00002.gguf"), "one");
        }
        let digest = |name: &str| of(&folder.path().join(name), || Ok(())).unwrap();
        let first = digest("a-00001-of-00002.gguf");
        assert_eq!((first, first.1), (digest("b-00001-of-00002.gguf"), Bytes(6)));
        assert_eq!(
            bytes(&folder.path().join("b-00001-of-00002.gguf")).unwrap(),
            Bytes(6)
        );
        assert_ne!(first, digest("c-00001-of-00002.gguf"));
    }

    #[test]
    fn a_folder_counts_names_and_contents_but_no_notes() {
        let folder = tempfile::tempdir().unwrap();
        let digest = || of(folder.path(), || Ok(())).unwrap();
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        let first = digest();
        std::fs::write(folder.path().join("README.md"), "hello").unwrap();
        assert_eq!((digest(), bytes(folder.path()).unwrap()), (first, Bytes(2)));
        std::fs::write(folder.path().join("model.safetensors"), "").unwrap();
        assert_ne!(digest(), first);
    }
}
