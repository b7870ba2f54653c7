//! Writes a file of packed weights, one after the other.

use std::collections::HashSet;
use std::io::{Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::{ALIGNMENT, HEAD_BYTES, MAGIC, MAX_TABLE_BYTES, PackedTensor, Row, Table, VERSION, hexadecimal};
use crate::Reason;
use crate::error::at_most;

/// Bytes of the file with these weights, for a variant of that digest and a driver of that name.
///
/// # Errors
/// [`Reason`] when its table can not be told.
pub fn packed_bytes(variant: &str, driver: &str, tensors: &[PackedTensor]) -> Result<u64, Reason> {
    let mut end = HEAD_BYTES as u64;
    let mut weights = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        // Every digest is as long as this one.
        weights.push(row(tensor, end, &Sha256::digest([])));
        end = end.saturating_add(tensor.bytes);
    }
    let table = Table {
        variant: variant.to_owned(),
        driver: driver.to_owned(),
        weights,
    };
    Ok(end.saturating_add(json(&table)?.len() as u64))
}

fn row(tensor: &PackedTensor, offset: u64, sha256: &[u8]) -> Row {
    Row {
        name: tensor.name.clone(),
        layout: tensor.layout.clone(),
        format: tensor.format.name().to_owned(),
        rows: tensor.rows,
        cols: tensor.cols,
        parts: tensor.parts,
        offset,
        bytes: tensor.bytes,
        sha256: hexadecimal(sha256),
    }
}

fn json(table: &Table) -> Result<Vec<u8>, Reason> {
    serde_json::to_vec(table).map_err(|error| Reason::Json(error.to_string()))
}

/// A file that is being written. Memory stays bounded by one weight.
#[derive(Debug)]
pub struct PackedWriter<W> {
    out: W,
    table: Table,
    names: HashSet<String>,
    /// Where the next weight begins.
    end: u64,
}

impl<W: Write + Seek> PackedWriter<W> {
    /// Begins a file at the start of `out`, which is empty, for a variant of that digest and a driver of that name.
    ///
    /// # Errors
    /// [`Reason::Io`].
    pub fn new(mut out: W, variant: &str, driver: &str) -> Result<Self, Reason> {
        out.write_all(&[0; HEAD_BYTES])?;
        Ok(Self {
            out,
            table: Table {
                variant: variant.to_owned(),
                driver: driver.to_owned(),
                weights: Vec::new(),
            },
            names: HashSet::new(),
            end: HEAD_BYTES as u64,
        })
    }

    /// Adds a weight of these bytes.
    ///
    /// # Errors
    /// [`Reason`] when its name was there, it does not have its bytes, or they can not be written.
    pub fn add(&mut self, tensor: &PackedTensor, bytes: &[u8]) -> Result<(), Reason> {
        if bytes.len() as u64 != tensor.bytes || !bytes.len().is_multiple_of(ALIGNMENT) {
            let reason = format!(
                "has {} bytes packed; it must have {}, a multiple of {ALIGNMENT}",
                bytes.len(),
                tensor.bytes
            );
            return Err(Reason::tensor(&tensor.name, reason));
        }
        if !self.names.insert(tensor.name.clone()) {
            return Err(Reason::Duplicate {
                what: "tensor",
                name: tensor.name.clone(),
            });
        }
        self.out.write_all(bytes)?;
        self.table
            .weights
            .push(row(tensor, self.end, &Sha256::digest(bytes)));
        self.end += tensor.bytes;
        Ok(())
    }

    /// Writes the table, then the head: the file is whole. The caller syncs it.
    ///
    /// # Errors
    /// [`Reason`] when the table is beyond its bound or can not be written.
    pub fn finish(mut self) -> Result<W, Reason> {
        let table = json(&self.table)?;
        at_most("the table's length", table.len() as u64, MAX_TABLE_BYTES)?;
        self.out.write_all(&table)?;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend(MAGIC);
        head.extend(VERSION.to_le_bytes());
        head.extend([0; 4]);
        head.extend(self.end.to_le_bytes());
        head.extend((table.len() as u64).to_le_bytes());
        head.extend(Sha256::digest(&table));
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&head)?;
        self.out.flush()?;
        Ok(self.out)
    }
}
