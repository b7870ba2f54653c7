//! The bytes of a file: mapped, or held in memory.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::{Mmap, UncheckedAdvice};

use crate::{FormatError, Reason};

/// Bytes: a multiple of every page size in use (4, 16 and 64 KiB).
const LARGEST_PAGE: usize = 65_536;

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

    /// Lets the system take back the pages of `part` of a mapped file; they are read again when they are next used. Nothing
    /// happens when `part` is not of these bytes or they are not mapped.
    pub(crate) fn release(&self, part: &[u8]) {
        let Self::Mapped(map) = self else { return };
        let Some(offset) = part.as_ptr().addr().checked_sub(map.as_ptr().addr()) else {
            return;
        };
        if offset.saturating_add(part.len()) > map.len() {
            return;
        }
        // Whole pages inside the part: what shares its first and last page may be in use.
        let start = offset.next_multiple_of(LARGEST_PAGE);
        let end = (offset + part.len()) / LARGEST_PAGE * LARGEST_PAGE;
        if start < end {
            // SAFETY: the map is read-only, so no page has anything that the file has not: dropping one only makes the system
            // read it again, and slices of it stay valid with the same bytes.
            let advised =
                unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
            // Advice that is refused costs memory, nothing else.
            drop(advised);
        }
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
