//! Files that appear complete or not at all.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use mains_contract::Bytes;
use mains_types::Digest;
use sha2::{Digest as _, Sha256};

use crate::StoreError;
use crate::disk::{Disk, SystemDisk};

/// Workers of another user read models.
pub(crate) const MODEL_MODE: u32 = 0o644;

/// Bytes read at once when a file is hashed.
const READ_BYTES: usize = 256 << 10;

/// Writes `contents` to `path`: a temporary file beside it, synced, then renamed, and the folder synced.
///
/// # Errors
/// [`StoreError::DiskFull`] or [`StoreError::Io`] names the path; what was there before stays.
pub fn write_whole(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    write_whole_on(&SystemDisk, path, contents)
}

/// [`write_whole`] on any disk.
pub(crate) fn write_whole_on(disk: &dyn Disk, path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let result = write_synced(disk, &temporary, contents)
        .and_then(|()| disk.rename(&temporary, path))
        .and_then(|()| path.parent().map_or(Ok(()), |folder| disk.sync_folder(folder)));
    result.map_err(|error| {
        // What is left of it takes room and is of no use; the error that counts is the first one.
        let _removed = disk.remove_file(&temporary);
        failed(path, Bytes::from(contents.len()), &error)
    })
}

fn write_synced(disk: &dyn Disk, path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = disk.open(path)?;
    file.write_at(0, contents)?;
    // A longer one may have been left there.
    file.set_len(contents.len() as u64)?;
    file.sync()
}

/// The error of a write to `path` that needed `needed` bytes.
pub(crate) fn failed(path: &Path, needed: Bytes, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull {
            path: path.to_owned(),
            needed: needed.0,
        },
        _ => StoreError::io("write", path, error),
    }
}

/// The SHA-256 of the file at `path`, or `None` when there is none.
///
/// # Errors
/// [`StoreError::Io`] when it can not be read.
pub fn digest(path: &Path) -> Result<Option<Digest>, StoreError> {
    let failed = |error| StoreError::io("read", path, &error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut reader = BufReader::new(file);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match reader.read(&mut buffer).map_err(failed)? {
            0 => return Ok(Some(Digest(hash.finalize().into()))),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{digest, write_whole};

    #[test]
    fn leaves_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        assert_eq!(digest(&path).unwrap(), None);
        write_whole(&path, b"abc").unwrap();
        write_whole(&path, b"abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(&path).unwrap().unwrap().to_string(), expected);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_full_disk_is_called_so_and_leaves_nothing() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        // Whatever is written to /dev/full finds no space (full(4)).
        symlink(
            "/dev/full",
            path.with_extension(format!("tmp{}", std::process::id())),
        )
        .unwrap();
        let error = write_whole(&path, b"abc").unwrap_err();
        assert!(error.to_string().contains("no space left"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
