//! Whether a model's files are still those that were read.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mains_contract::Bytes;
use mains_types::model_files;

use crate::StoreError;

/// What changes when a model's files are replaced or written: for each its name, inode, size and time of change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity(Vec<(std::ffi::OsString, u64, u64, u64, i64, i64)>);

impl Identity {
    /// Of the file at `path` and, where it is the first part of a split model, the others; or of the files right in the folder there.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it is not there or may not be read.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io("read", path, &error);
        let metadata = fs::metadata(path).map_err(failed)?;
        if !metadata.is_dir() {
            let parts = model_files(path).into_iter();
            let known = parts.filter_map(|part| {
                let found = fs::metadata(&part).ok()?;
                Some(entry(part.file_name()?.to_owned(), &found))
            });
            return Ok(Self(known.collect()));
        }
        let mut entries = Vec::new();
        for file in fs::read_dir(path).map_err(failed)? {
            let file = file.map_err(failed)?;
            let metadata = fs::metadata(file.path()).map_err(failed)?;
            if metadata.is_file() {
                entries.push(entry(file.file_name(), &metadata));
            }
        }
        entries.sort();
        Ok(Self(entries))
    }

    /// A line for each file, the same if and only if all of it is: to be kept over restarts.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line =
            |(name, device, inode, bytes, seconds, nanoseconds): &(std::ffi::OsString, _, _, _, _, _)| {
                format!("{device} {inode} {bytes} {seconds}.{nanoseconds} {name:?}")
            };
        self.0.iter().map(line).collect()
    }

    /// Bytes of all the files together.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.0.iter().map(|(_, _, _, bytes, _, _)| Bytes(*bytes)).sum()
    }
}

fn entry(name: std::ffi::OsString, of: &Metadata) -> (std::ffi::OsString, u64, u64, u64, i64, i64) {
    (name, of.dev(), of.ino(), of.size(), of.ctime(), of.ctime_nsec())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Identity;

    #[test]
    fn a_replaced_file_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.gguf");
        fs::write(&file, "one").unwrap();
        let (before, folder_before) = (Identity::of(&file).unwrap(), Identity::of(folder.path()).unwrap());
        assert_eq!(before, Identity::of(&file).unwrap());
        assert_eq!(before.lines(), Identity::of(&file).unwrap().lines());
        assert_eq!(before.bytes(), mains_contract::Bytes(3));
        let whole = folder.path().join("m-00001-of-00002.gguf");
        fs::write(&whole, "one").unwrap();
        let alone = Identity::of(&whole).unwrap();
        fs::write(folder.path().join("m-00002-of-00002.gguf"), "two").unwrap();
        assert_ne!(alone, Identity::of(&whole).unwrap());
        fs::write(folder.path().join("new"), "two").unwrap();
        fs::rename(folder.path().join("new"), &file).unwrap();
        assert_ne!(before, Identity::of(&file).unwrap());
        assert_ne!(before.lines(), Identity::of(&file).unwrap().lines());
        assert_ne!(folder_before, Identity::of(folder.path()).unwrap());
        assert!(
            Identity::of(&folder.path().join("none"))
                .unwrap_err()
                .to_string()
                .contains("none")
        );
    }
}
