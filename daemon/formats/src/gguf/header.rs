//! The head of a file: metadata and tensor records, checked against each other and against the file's size.

use std::collections::HashSet;

use mains_blocks::BlockFormat;

use super::cursor::Cursor;
use super::limits::{
    DEFAULT_ALIGNMENT, MAX_ALIGNMENT, MAX_DIMS, MAX_KEY_BYTES, MAX_METADATA_ENTRIES, MAX_TENSOR_NAME_BYTES,
    MAX_TENSORS,
};
use super::metadata::find;
use super::parts::Part;
use super::types::type_name;
use super::value::Value;
use crate::Reason;
use crate::error::at_most;

/// The first four bytes of every file.
pub(super) const MAGIC: [u8; 4] = *b"GGUF";
/// The version that is written; 2 differs only in that it has no big-endian files.
pub(super) const VERSION: u32 = 3;
/// The key that gives the alignment of tensors' data.
pub(super) const ALIGNMENT_KEY: &str = "general.alignment";

/// Everything but the tensors' data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub(super) metadata: Vec<(String, Value)>,
    pub(super) tensors: Vec<Record>,
    /// Which part of a split model it is the head of.
    pub(super) part: Option<Part>,
}

/// Where a tensor lies.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) format: BlockFormat,
    /// Outermost first.
    pub(super) dims: Vec<usize>,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Offset from the start of the file.
    pub(super) start: usize,
    pub(super) bytes: usize,
}

impl Header {
    /// Reads and checks the head of the file whose bytes are `file`.
    pub(super) fn parse(file: &[u8]) -> Result<Self, Reason> {
        let mut cursor = Cursor::new(file);
        check_kind(&mut cursor)?;
        let tensor_count = cursor.u64("the number of tensors")?;
        let entry_count = cursor.u64("the number of metadata entries")?;
        at_most("the number of tensors", tensor_count, MAX_TENSORS)?;
        at_most(
            "the number of metadata entries",
            entry_count,
            MAX_METADATA_ENTRIES,
        )?;
        let metadata = read_metadata(&mut cursor, entry_count)?;
        let part = Part::of(&metadata)?;
        let alignment = alignment(&metadata)?;
        let mut tensors = read_records(&mut cursor, tensor_count)?;
        place(
            &mut tensors,
            cursor.at().next_multiple_of(alignment),
            alignment,
            file.len(),
        )?;
        Ok(Self {
            metadata,
            tensors,
            part,
        })
    }
}

fn check_kind(cursor: &mut Cursor<'_>) -> Result<(), Reason> {
    let magic: [u8; 4] = cursor.array("the mark of a GGUF file")?;
    if magic != MAGIC {
        let found = magic.escape_ascii();
        return Err(Reason::Kind(format!(
            "is not a GGUF file: it starts with \"{found}\", not \"GGUF\""
        )));
    }
    match cursor.u32("the version")? {
        2 | 3 => Ok(()),
        1 => Err(Reason::Kind(
            "is a GGUF file of version 1; convert it again with a current tool".to_owned(),
        )),
        version if matches!(version.swap_bytes(), 1..=3) => Err(Reason::Kind(
            "is a big-endian GGUF file; only little-endian files are read".to_owned(),
        )),
        version => Err(Reason::Kind(format!(
            "is a GGUF file of version {version}; versions 2 and 3 are read"
        ))),
    }
}

fn read_metadata(cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<(String, Value)>, Reason> {
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    for _ in 0..count {
        let key = cursor.text("a key", MAX_KEY_BYTES)?;
        if !seen.insert(key) {
            return Err(Reason::Duplicate {
                what: "key",
                name: key.to_owned(),
            });
        }
        entries.push((key.to_owned(), Value::read(cursor, key)?));
    }
    Ok(entries)
}

fn alignment(metadata: &[(String, Value)]) -> Result<u64, Reason> {
    let alignment = find::<u32>(metadata, ALIGNMENT_KEY)?.map_or(DEFAULT_ALIGNMENT, u64::from);
    at_most("the alignment in bytes", alignment, MAX_ALIGNMENT)?;
    if alignment.is_power_of_two() && alignment >= 8 {
        Ok(alignment)
    } else {
        Err(Reason::key(
            ALIGNMENT_KEY,
            format!("is {alignment}; it should be a power of two from 8"),
        ))
    }
}

fn read_records(cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<Record>, Reason> {
    let mut seen = HashSet::new();
    let mut records = Vec::new();
    for _ in 0..count {
        let name = cursor.text("a tensor's name", MAX_TENSOR_NAME_BYTES)?;
        if !seen.insert(name) {
            return Err(Reason::Duplicate {
                what: "tensor",
                name: name.to_owned(),
            });
        }
        records.push(read_record(cursor, name)?);
    }
    Ok(records)
}

/// Reads one record; `start` is still relative to the data section.
fn read_record(cursor: &mut Cursor<'_>, name: &str) -> Result<Record, Reason> {
    let dim_count = cursor.u32("the number of a tensor's dimensions")?;
    at_most("the number of a tensor's dimensions", dim_count.into(), MAX_DIMS)?;
    let mut dims = Vec::new();
    for _ in 0..dim_count {
        let dim = cursor.u64("a tensor's dimension")?;
        dims.push(
            usize::try_from(dim).map_err(|_| Reason::tensor(name, format!("has a dimension of {dim}")))?,
        );
    }
    dims.reverse();
    let id = cursor.u32("a tensor's type")?;
    let offset = cursor.u64("a tensor's offset")?;
    let format = BlockFormat::from_gguf_id(id).ok_or_else(|| Reason::TensorType {
        name: name.to_owned(),
        found: type_name(id).map_or_else(|| format!("with the unknown id {id}"), str::to_owned),
    })?;
    let (rows, cols, bytes) = size(name, format, &dims)?;
    let start =
        usize::try_from(offset).map_err(|_| Reason::tensor(name, format!("has the offset {offset}")))?;
    Ok(Record {
        name: name.to_owned(),
        format,
        dims,
        rows,
        cols,
        start,
        bytes,
    })
}

/// Rows, columns and bytes of a tensor with dimensions `dims`, outermost first.
pub(super) fn size(name: &str, format: BlockFormat, dims: &[usize]) -> Result<(usize, usize, usize), Reason> {
    let shape = || dims.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    let Some((&cols, outer)) = dims.split_last() else {
        return Err(Reason::tensor(name, "has no dimensions"));
    };
    if dims.contains(&0) {
        return Err(Reason::tensor(name, format!("has no numbers ({})", shape())));
    }
    let row = format.row_bytes(cols).ok_or_else(|| {
        let len = format.block_len();
        Reason::tensor(
            name,
            format!("has rows of {cols}, no whole number of {format} blocks of {len}"),
        )
    })?;
    let rows = outer.iter().try_fold(1_usize, |rows, dim| rows.checked_mul(*dim));
    let sized = rows.and_then(|rows| Some((rows, cols, rows.checked_mul(row)?)));
    sized.ok_or_else(|| Reason::tensor(name, format!("has too many numbers ({})", shape())))
}

/// Makes offsets absolute and checks that tensors lie in the file, aligned and apart.
fn place(records: &mut [Record], data: u64, alignment: u64, file: usize) -> Result<(), Reason> {
    for record in records.iter_mut() {
        let offset = record.start as u64;
        if !offset.is_multiple_of(alignment) {
            let reason = format!("has the offset {offset}, no multiple of the alignment {alignment}");
            return Err(Reason::tensor(&record.name, reason));
        }
        let start = data
            .checked_add(offset)
            .and_then(|start| usize::try_from(start).ok());
        let end = start.and_then(|start| start.checked_add(record.bytes));
        match (start, end) {
            (Some(start), Some(end)) if end <= file => record.start = start,
            _ => {
                let bytes = record.bytes;
                let reason = format!(
                    "has {bytes} bytes at offset {offset} of the data, beyond the file's {file} bytes: the file is cut \
                     short; copy it again"
                );
                return Err(Reason::tensor(&record.name, reason));
            }
        }
    }
    let mut order: Vec<&Record> = records.iter().collect();
    order.sort_by_key(|record| record.start);
    match order
        .array_windows()
        .find(|[first, second]| first.start + first.bytes > second.start)
    {
        Some([first, second]) => Err(Reason::tensor(
            &second.name,
            format!("overlaps the data of tensor {}", first.name),
        )),
        None => Ok(()),
    }
}
