//! An open GGUF file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::header::{Header, Record};
use super::limits::MAX_TENSORS;
use super::metadata::Metadata;
use super::parts::{self, Part};
use super::value::Value;
use crate::error::at_most;
use crate::map::Bytes;
use crate::{FormatError, Reason, Tensor};

/// A GGUF file, or all files of a split model: mapped and checked whole.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    files: Vec<Bytes>,
    metadata: Metadata,
    /// Each with the index of its file.
    tensors: Vec<(usize, Record)>,
    by_name: HashMap<String, usize>,
}

impl Gguf {
    /// Maps and checks the file at `path`; with the other parts beside it, when it is the first of a split model.
    ///
    /// # Errors
    /// [`FormatError`] with the path and what is wrong.
    pub fn open(path: &Path) -> Result<Self, FormatError> {
        let (bytes, header) = parsed(path, Bytes::open(path)?)?;
        match header.part {
            None => Self::of(path, vec![bytes], header.metadata, vec![header.tensors]),
            Some(part) => Self::split(path, bytes, header, part),
        }
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
        let (bytes, header) = parsed(path, bytes)?;
        match header.part {
            None => Self::of(path, vec![bytes], header.metadata, vec![header.tensors]),
            Some(part) => Err(part.refuse().at(path)),
        }
    }

    /// All parts of a model, whose first is already open.
    fn split(path: &Path, bytes: Bytes, first: Header, part: Part) -> Result<Self, FormatError> {
        let (mut files, mut tensors) = (vec![bytes], vec![first.tensors]);
        for number in 1..part.count {
            let path = part.path(path, number).map_err(|reason| reason.at(path))?;
            let (bytes, header) = parsed(&path, Bytes::open(&path)?)?;
            if header.part.map(|found| (found.number, found.count)) != Some((number, part.count)) {
                let reason = format!("is not part {} of {}", number + 1, part.count);
                return Err(Reason::Kind(reason).at(&path));
            }
            files.push(bytes);
            tensors.push(header.tensors);
        }
        let count: usize = tensors.iter().map(Vec::len).sum();
        if part.tensors.is_some_and(|wanted| wanted as usize != count) {
            let wanted = part.tensors.unwrap_or_default();
            let reason = format!("is {wanted}, but the parts have {count} tensors");
            return Err(Reason::key("split.tensors.count", reason).at(path));
        }
        at_most("the number of tensors", count as u64, MAX_TENSORS).map_err(|reason| reason.at(path))?;
        let mut metadata = first.metadata;
        metadata.retain(|(key, _)| !key.starts_with(parts::SECTION));
        Self::of(path, files, metadata, tensors)
    }

    fn of(
        path: &Path,
        files: Vec<Bytes>,
        metadata: Vec<(String, Value)>,
        tensors: Vec<Vec<Record>>,
    ) -> Result<Self, FormatError> {
        let by_file =
            |(file, records): (usize, Vec<Record>)| records.into_iter().map(move |record| (file, record));
        let tensors: Vec<_> = tensors.into_iter().enumerate().flat_map(by_file).collect();
        let mut by_name = HashMap::with_capacity(tensors.len());
        for (index, (_, record)) in tensors.iter().enumerate() {
            if by_name.insert(record.name.clone(), index).is_some() {
                let (what, name) = ("tensor", record.name.clone());
                return Err(Reason::Duplicate { what, name }.at(path));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            files,
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

    /// Bytes of the file, or of all parts.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.len() as u64).sum()
    }

    /// The typed metadata.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Takes the value of `key` out of the metadata, for who needs a large one as its own: vocabularies are megabytes.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.metadata.take(key)
    }

    /// Every tensor, in the order of the files.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> {
        self.tensors.iter().map(|(file, record)| self.view(*file, record))
    }

    /// The tensor called `name`, or `None` when the file does not have it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Tensor<'_>> {
        let (file, record) = self.by_name.get(name).map(|index| &self.tensors[*index])?;
        Some(self.view(*file, record))
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
        self.files.iter().for_each(|file| file.release(bytes));
    }

    fn view<'a>(&'a self, file: usize, record: &'a Record) -> Tensor<'a> {
        Tensor {
            name: &record.name,
            format: record.format,
            dims: &record.dims,
            rows: record.rows,
            cols: record.cols,
            bytes: &self.files[file][record.start..record.start + record.bytes],
        }
    }
}

fn parsed(path: &Path, bytes: Bytes) -> Result<(Bytes, Header), FormatError> {
    let header = Header::parse(&bytes).map_err(|reason| reason.at(path))?;
    Ok((bytes, header))
}
