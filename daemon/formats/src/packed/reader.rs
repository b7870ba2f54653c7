//! Reads a file of packed weights: its table is checked whole when it is opened, its weights when they are taken.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mains_blocks::BlockFormat;
use sha2::{Digest, Sha256};

use super::{
    ALIGNMENT, DIGEST_BYTES, HEAD_BYTES, MAGIC, MAX_TABLE_BYTES, PackedTensor, Row, Table, VERSION,
    hexadecimal,
};
use crate::error::at_most;
use crate::map::Bytes;
use crate::{FormatError, Reason};

/// A file of packed weights, mapped.
#[derive(Debug)]
pub struct PackedFile {
    path: PathBuf,
    bytes: Bytes,
    variant: String,
    driver: String,
    weights: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    tensor: PackedTensor,
    range: Range<usize>,
    sha256: String,
}

impl PackedFile {
    /// Maps and checks a file.
    ///
    /// # Errors
    /// [`FormatError`] says what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, FormatError> {
        Self::new(Bytes::open(path)?, path)
    }

    /// As [`PackedFile::open`], for a file that is open already; `path` is for errors only.
    ///
    /// # Errors
    /// As [`PackedFile::open`].
    pub fn map(file: &File, path: &Path) -> Result<Self, FormatError> {
        Self::new(Bytes::map(file, path)?, path)
    }

    /// As [`PackedFile::open`], of bytes in memory.
    ///
    /// # Errors
    /// As [`PackedFile::open`].
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, FormatError> {
        Self::new(Bytes::Held(bytes.into()), path)
    }

    fn new(bytes: Bytes, path: &Path) -> Result<Self, FormatError> {
        let (table, end) = read_table(&bytes).map_err(|reason| reason.at(path))?;
        let weights = check_rows(table.weights, end).map_err(|reason| reason.at(path))?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
            variant: table.variant,
            driver: table.driver,
            weights,
        })
    }

    /// The digest of the variant whose weights these are.
    #[must_use]
    pub fn variant(&self) -> &str {
        &self.variant
    }

    /// The driver whose layouts they are in.
    #[must_use]
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// Every weight, in no order.
    pub fn weights(&self) -> impl Iterator<Item = &PackedTensor> {
        self.weights.values().map(|entry| &entry.tensor)
    }

    /// Where the bytes of the weight called `name` are in the file, after a look at every one of them; none when there is
    /// no such weight.
    ///
    /// # Errors
    /// [`FormatError`] when they are not those that were written.
    pub fn verified(&self, name: &str) -> Result<Option<(&PackedTensor, Range<usize>)>, FormatError> {
        let Some(entry) = self.weights.get(name) else {
            return Ok(None);
        };
        if hexadecimal(&Sha256::digest(&self.bytes[entry.range.clone()])) != entry.sha256 {
            let reason = "is damaged in this file; remove the file, it is made again";
            return Err(Reason::tensor(name, reason).at(&self.path));
        }
        Ok(Some((&entry.tensor, entry.range.clone())))
    }
}

impl AsRef<[u8]> for PackedFile {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The table, and where it begins: the end of the weights.
fn read_table(bytes: &[u8]) -> Result<(Table, usize), Reason> {
    let size = bytes.len() as u64;
    let cut_short = |what, at, needed| Reason::Truncated {
        what,
        at,
        needed,
        left: size.saturating_sub(at),
    };
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else {
        return Err(cut_short("the head", 0, HEAD_BYTES as u64));
    };
    if head[..MAGIC.len()] != MAGIC {
        return Err(Reason::Kind(
            "is no file of packed weights, or one that was not finished; remove it, it is made again"
                .to_owned(),
        ));
    }
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte]));
    let version = word(8);
    if version != u64::from(VERSION) {
        let reason = format!(
            "has version {version} of packed weights, {VERSION} is read; remove it, it is made again"
        );
        return Err(Reason::Kind(reason));
    }
    let (start, length) = (word(16), word(24));
    at_most("the table's length", length, MAX_TABLE_BYTES)?;
    if start < HEAD_BYTES as u64 || start.checked_add(length) != Some(size) {
        return Err(cut_short("the table", start, length));
    }
    // It is inside of the file, whose length is a usize.
    let start = usize::try_from(start).map_err(|_| cut_short("the table", start, length))?;
    let table = &bytes[start..];
    let unused = head[32 + DIGEST_BYTES..].iter().any(|byte| *byte != 0);
    if unused || head[32..32 + DIGEST_BYTES] != *Sha256::digest(table) {
        return Err(Reason::Kind(
            "has a damaged table of packed weights; remove it, it is made again".to_owned(),
        ));
    }
    let table = serde_json::from_slice(table).map_err(|error| Reason::Json(error.to_string()))?;
    Ok((table, start))
}

/// Weights one after the other, from the head to `end`.
fn check_rows(rows: Vec<Row>, end: usize) -> Result<HashMap<String, Entry>, Reason> {
    let mut weights = HashMap::with_capacity(rows.len());
    let mut next = HEAD_BYTES;
    for row in rows {
        let refuse = |reason: String| Reason::tensor(&row.name, reason);
        let format = BlockFormat::from_name(&row.format);
        let format = format.ok_or_else(|| refuse(format!("has the unknown format {:?}", row.format)))?;
        let bytes = usize::try_from(row.bytes)
            .ok()
            .filter(|bytes| *bytes <= end - next);
        let (Some(bytes), true) = (bytes, row.offset == next as u64) else {
            return Err(refuse(format!(
                "has {} bytes at {}, where {} are left at {next}",
                row.bytes,
                row.offset,
                end - next
            )));
        };
        if !bytes.is_multiple_of(ALIGNMENT) || row.parts == 0 || !row.rows.is_multiple_of(row.parts) {
            return Err(refuse(format!(
                "has {bytes} bytes and {} rows in {} parts, which are not whole",
                row.rows, row.parts
            )));
        }
        let entry = Entry {
            tensor: PackedTensor {
                name: row.name.clone(),
                layout: row.layout,
                format,
                rows: row.rows,
                cols: row.cols,
                parts: row.parts,
                bytes: row.bytes,
            },
            range: next..next + bytes,
            sha256: row.sha256,
        };
        if weights.insert(row.name.clone(), entry).is_some() {
            return Err(Reason::Duplicate {
                what: "tensor",
                name: row.name,
            });
        }
        next += bytes;
    }
    if next == end {
        Ok(weights)
    } else {
        Err(Reason::Kind(format!(
            "has {} bytes that no weight owns",
            end - next
        )))
    }
}
