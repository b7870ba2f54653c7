//! One safetensors file (huggingface/safetensors `README.md`, *Format*).

use mains_blocks::BlockFormat;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::packed;
use crate::Reason;
use crate::error::at_most;

/// Bytes of the header: the format's own bound.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Tensors in a file. Mixtures with one tensor an expert reach 90,000 over all files.
const MAX_TENSORS: u64 = 1 << 18;
/// Dimensions of a tensor. Weights have at most 5 (convolutions over video).
const MAX_DIMS: u64 = 8;

/// The checked header of a safetensors file: where each tensor lies. The `safetensors` crate parses it and proves that
/// tensors have the size of their shape and follow each other without gap or overlap.
#[derive(Debug, Clone, PartialEq)]
pub struct Shard {
    /// In the order of the data.
    pub(super) tensors: Vec<Record>,
}

/// Where a tensor lies.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) format: BlockFormat,
    pub(super) dims: Vec<usize>,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Offset from the start of the file.
    pub(super) start: usize,
    pub(super) bytes: usize,
}

impl Shard {
    /// Reads and checks the header of the file whose bytes are `file`.
    ///
    /// # Errors
    /// [`Reason`] when it is no safetensors file or has a tensor that is not F32, F16 or BF16.
    pub fn parse(file: &[u8]) -> Result<Self, Reason> {
        let cut = |needed: u64| Reason::Truncated {
            what: "a safetensors header and its data",
            at: 0,
            needed,
            left: file.len() as u64,
        };
        let (length, rest) = file.split_first_chunk::<8>().ok_or_else(|| cut(8))?;
        let length = u64::from_le_bytes(*length);
        at_most("the size of the header in bytes", length, MAX_HEADER_BYTES)?;
        let header = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let header = header.ok_or_else(|| cut(length.saturating_add(8)))?;
        let metadata: Metadata =
            serde_json::from_slice(header).map_err(|error| Reason::Safetensors(error.to_string()))?;
        let data = 8 + header.len();
        // Not left to `SafeTensors::read_metadata`, which adds the length of the data without a check.
        match data.checked_add(metadata.data_len()) {
            Some(end) if end == file.len() => {}
            Some(end) if end < file.len() => {
                let extra = file.len() - end;
                return Err(Reason::Safetensors(format!(
                    "{extra} bytes follow the last tensor"
                )));
            }
            end => return Err(cut(end.map_or(u64::MAX, |end| end as u64))),
        }
        let tensors = metadata.tensors();
        at_most("the number of tensors", tensors.len() as u64, MAX_TENSORS)?;
        // Before their types: a packed checkpoint is named as one, whichever of its tensors comes first.
        for (name, info) in &tensors {
            packed::refuse_tensor(name, info.dtype)?;
        }
        let mut records = Vec::with_capacity(tensors.len());
        for (name, info) in tensors {
            let format = format_of(&name, info.dtype)?;
            at_most(
                "the number of a tensor's dimensions",
                info.shape.len() as u64,
                MAX_DIMS,
            )?;
            let (start, end) = info.data_offsets;
            if start == end {
                return Err(Reason::tensor(&name, "has no numbers"));
            }
            let (cols, outer) = info
                .shape
                .split_last()
                .map_or((1, [].as_slice()), |(cols, outer)| (*cols, outer));
            records.push(Record {
                format,
                dims: info.shape.clone(),
                // The crate has checked that the product of the shape does not overflow.
                rows: outer.iter().product(),
                cols,
                start: data + start,
                bytes: end - start,
                name,
            });
        }
        records.sort_by_key(|record| record.start);
        Ok(Self { tensors: records })
    }

    /// Names of its tensors, in the order of the data.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|record| record.name.as_str())
    }
}

fn format_of(name: &str, dtype: Dtype) -> Result<BlockFormat, Reason> {
    match dtype {
        Dtype::F32 => Ok(BlockFormat::F32),
        Dtype::F16 => Ok(BlockFormat::F16),
        Dtype::BF16 => Ok(BlockFormat::BF16),
        other => Err(Reason::TensorType {
            name: name.to_owned(),
            found: format!("{other:?}"),
        }),
    }
}
