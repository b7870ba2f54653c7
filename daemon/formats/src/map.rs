//! The bytes of a file: mapped, or held in memory.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use crate::{FormatError, Reason};

/// Bytes that can be read at any offset.
#[derive(Debug)]
pub(crate) enum Bytes {
    Mapped(Mmap),
    Held(Cow<'static, [u8]>),
}

impl Bytes {
    /// Maps a regular file; `path` is for errors only.
    pub(crate) fn map(file: &File, path: &Path) -> Result<Self, FormatError> {
        let at = |error: io::Error| Reason::from(error).at(path);
        if !file.metadata().map_err(at)?.is_file() {
            return Err(Reason::Kind("is not a regular file".to_owned()).at(path));
        }
        // SAFETY: the map is private and read-only. That nobody truncates or writes the file meanwhile can not be had
        // from the system; the store keeps models where neither workers nor users may write, and replaces files by name. A
        // file cut short under a worker ends that worker by SIGBUS, which its supervisor reports; bytes that change give
        // wrong numbers but no invalid value, for every use is a slice of plain u8 and all structure was copied out when
        // the file was checked.
        let map = unsafe { Mmap::map(file) }.map_err(at)?;
        Ok(Self::Mapped(map))
    }

    /// Opens and maps a file.
    pub(crate) fn open(path: &Path) -> Result<Self, FormatError> {
        let file = File::open(path).map_err(|error| Reason::from(error).at(path))?;
        Self::map(&file, path)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Held(bytes) => bytes,
        }
    }
}
