//! By what a file that was made is known again, without reading all of it.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use mains_types::Digest;
use sha2::{Digest as _, Sha256};

/// Bytes of a head: it has what the rest is read by (names, types and places of tensors), and a damaged file that was cut, emptied
/// or replaced shows in its size or there.
const HEAD_BYTES: u64 = 4 << 20;

/// Size and head of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of its first 4 MiB.
    pub head: Digest,
}

impl Stamp {
    /// Of the file at `path`, if there is one that can be read.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::read(&mut File::open(path)?)
    }

    pub(super) fn read(file: &mut File) -> io::Result<Self> {
        file.rewind()?;
        let bytes = file.metadata()?.len();
        let mut head = Vec::new();
        file.take(HEAD_BYTES).read_to_end(&mut head)?;
        Ok(Self {
            bytes,
            head: Digest(Sha256::digest(&head).into()),
        })
    }
}
