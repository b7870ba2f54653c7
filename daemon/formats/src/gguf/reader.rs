//! An open GGUF file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::header::{Header, Record};
use super::metadata::Metadata;
use crate::map::Bytes;
use crate::{FormatError, Reason, Tensor};

/// A GGUF file: mapped and checked whole.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    bytes: Bytes,
    metadata: Metadata,
    tensors: Vec<Record>,
    by_name: HashMap<String, usize>,
}

impl Gguf {
    /// Maps and checks the file at `path`.
    ///
    /// # Errors
    /// [`FormatError`] with the path and what is wrong.
    pub fn open(path: &Path) -> Result<Self, FormatError> {
        Self::new(path, Bytes::open(path)?)
    }

    /// Maps and checks an open file; `path` names it in errors.
    ///
    /// # Errors
    /// As [`Gguf::open`].
    pub fn from_file(file: &File, path: &Path) -> Result<Self, FormatError> {
        Self::new(path, Bytes::map(file, path)?)
    }

    /// Checks a file that is in memory, embedded or read; `path` names it in errors.
    ///
    /// # Errors
    /// As [`Gguf::open`].
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>, path: &Path) -> Result<Self, FormatError> {
        Self::new(path, Bytes::Held(bytes.into()))
    }

    fn new(path: &Path, bytes: Bytes) -> Result<Self, FormatError> {
        let Header { metadata, tensors } = Header::parse(&bytes).map_err(|reason| reason.at(path))?;
        let by_name = tensors
            .iter()
            .enumerate()
            .map(|(index, record)| (record.name.clone(), index))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            bytes,
            metadata: Metadata::new(path, metadata),
            tensors,
            by_name,
        })
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The typed metadata.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Every tensor, in the order of the file.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> {
        self.tensors.iter().map(|record| self.view(record))
    }

    /// The tensor called `name`, or `None` when the file does not have it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Tensor<'_>> {
        self.by_name
            .get(name)
            .map(|index| self.view(&self.tensors[*index]))
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// [`Reason::Tensor`] when the file does not have it.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, FormatError> {
        self.find(name)
            .ok_or_else(|| Reason::tensor(name, "is missing").at(&self.path))
    }

    /// Gives the memory of a tensor's bytes, or of a part of them, back to the system until they are next read.
    pub fn release(&self, bytes: &[u8]) {
        self.bytes.release(bytes);
    }

    fn view<'a>(&'a self, record: &'a Record) -> Tensor<'a> {
        Tensor {
            name: &record.name,
            format: record.format,
            dims: &record.dims,
            rows: record.rows,
            cols: record.cols,
            bytes: &self.bytes[record.start..record.start + record.bytes],
        }
    }
}
