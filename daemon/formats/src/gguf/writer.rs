//! Writes GGUF files of version 3, tensor by tensor.

use std::collections::HashSet;
use std::io::{self, Write};

use mains_blocks::BlockFormat;

use super::header::{ALIGNMENT_KEY, MAGIC, VERSION, size};
use super::limits::{
    DEFAULT_ALIGNMENT, MAX_ARRAY_LEN, MAX_DIMS, MAX_HEADER_BYTES, MAX_KEY_BYTES, MAX_METADATA_ENTRIES,
    MAX_STRING_BYTES, MAX_TENSOR_NAME_BYTES, MAX_TENSORS,
};
use super::value::{Array, Value};
use crate::Reason;
use crate::error::at_most;

/// A tensor that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// How its numbers are stored.
    pub format: BlockFormat,
    /// Lengths of the dimensions, outermost first.
    pub dims: Vec<usize>,
}

/// A file whose head is made and whose tensors are still to be written: memory stays bounded by one tensor's producer.
#[derive(Debug)]
pub struct GgufWriter {
    head: Vec<u8>,
    tensors: Vec<(TensorSpec, usize)>,
}

impl GgufWriter {
    /// A file with `metadata` and `tensors`, both in the order given. What it writes, [`crate::Gguf`] reads.
    ///
    /// # Errors
    /// [`Reason`] when something is beyond the reader's bounds, occurs twice, or a shape does not suit its format.
    pub fn new(metadata: &[(String, Value)], tensors: Vec<TensorSpec>) -> Result<Self, Reason> {
        at_most("the number of tensors", tensors.len() as u64, MAX_TENSORS)?;
        at_most(
            "the number of metadata entries",
            metadata.len() as u64,
            MAX_METADATA_ENTRIES,
        )?;
        let mut head = Vec::new();
        head.extend(MAGIC);
        head.extend(VERSION.to_le_bytes());
        head.extend((tensors.len() as u64).to_le_bytes());
        head.extend((metadata.len() as u64).to_le_bytes());
        write_metadata(&mut head, metadata)?;
        let mut sized = Vec::with_capacity(tensors.len());
        let mut seen = HashSet::new();
        let mut offset = 0_usize;
        for tensor in tensors {
            if !seen.insert(tensor.name.clone()) {
                return Err(Reason::Duplicate {
                    what: "tensor",
                    name: tensor.name,
                });
            }
            let bytes = write_record(&mut head, &tensor, offset)?;
            offset = offset
                .checked_add(padded(bytes))
                .ok_or_else(|| Reason::tensor(&tensor.name, "lies beyond the largest file"))?;
            sized.push((tensor, bytes));
        }
        at_most(
            "the size of metadata and tensor records in bytes",
            head.len() as u64,
            MAX_HEADER_BYTES,
        )?;
        head.resize(padded(head.len()), 0);
        Ok(Self { head, tensors: sized })
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        let data: u64 = self.tensors.iter().map(|(_, bytes)| padded(*bytes) as u64).sum();
        self.head.len() as u64 + data
    }

    /// Writes the file; `fill` writes each tensor's bytes in turn, in as many pieces as it likes.
    ///
    /// # Errors
    /// What `fill` or `out` give, and [`io::ErrorKind::InvalidData`] when `fill` writes another number of bytes than
    /// the tensor has.
    pub fn write<E: From<io::Error>>(
        self,
        mut out: impl Write,
        mut fill: impl FnMut(&TensorSpec, &mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        out.write_all(&self.head)?;
        for (tensor, bytes) in &self.tensors {
            let mut exact = Exact {
                out: &mut out,
                left: *bytes,
            };
            fill(tensor, &mut exact)?;
            if exact.left > 0 {
                let message = format!(
                    "tensor {}: {} of {bytes} bytes were not written",
                    tensor.name, exact.left
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, message).into());
            }
            out.write_all(&[0; DEFAULT_ALIGNMENT as usize][..padded(*bytes) - bytes])?;
        }
        out.flush()?;
        Ok(())
    }
}

/// Passes on so many bytes and no more.
struct Exact<'a, W> {
    out: &'a mut W,
    left: usize,
}

impl<W: Write> Write for Exact<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.left {
            let message = format!("{} bytes more than the tensor has", bytes.len() - self.left);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let written = self.out.write(bytes)?;
        self.left -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(DEFAULT_ALIGNMENT as usize)
}

fn write_metadata(head: &mut Vec<u8>, metadata: &[(String, Value)]) -> Result<(), Reason> {
    let mut seen = HashSet::new();
    for (key, value) in metadata {
        at_most("the length of a key in bytes", key.len() as u64, MAX_KEY_BYTES)?;
        if !seen.insert(key) {
            return Err(Reason::Duplicate {
                what: "key",
                name: key.clone(),
            });
        }
        if key == ALIGNMENT_KEY {
            return Err(Reason::key(key, "is the writer's own"));
        }
        check_value(value)?;
        head.extend((key.len() as u64).to_le_bytes());
        head.extend(key.as_bytes());
        value.write(head);
    }
    Ok(())
}

fn check_value(value: &Value) -> Result<(), Reason> {
    let text = |text: &String| {
        at_most(
            "the length of a text in bytes",
            text.len() as u64,
            MAX_STRING_BYTES,
        )
    };
    match value {
        Value::String(value) => text(value),
        Value::Array(array) => {
            at_most("the length of an array", array.len() as u64, MAX_ARRAY_LEN)?;
            match array {
                Array::String(values) => values.iter().try_for_each(text),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn write_record(head: &mut Vec<u8>, tensor: &TensorSpec, offset: usize) -> Result<usize, Reason> {
    at_most(
        "the length of a tensor's name in bytes",
        tensor.name.len() as u64,
        MAX_TENSOR_NAME_BYTES,
    )?;
    at_most(
        "the number of a tensor's dimensions",
        tensor.dims.len() as u64,
        MAX_DIMS,
    )?;
    let (_, _, bytes) = size(&tensor.name, tensor.format, &tensor.dims)?;
    head.extend((tensor.name.len() as u64).to_le_bytes());
    head.extend(tensor.name.as_bytes());
    // Between one and four, as just checked: the low byte holds it.
    head.extend([tensor.dims.len().to_le_bytes()[0], 0, 0, 0]);
    for dim in tensor.dims.iter().rev() {
        head.extend((*dim as u64).to_le_bytes());
    }
    head.extend(tensor.format.gguf_id().to_le_bytes());
    head.extend((offset as u64).to_le_bytes());
    Ok(bytes)
}
