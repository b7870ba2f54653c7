//! Weights packed in a driver's layouts: a file to be mapped at load. `docs/packed-file.md` describes it byte by byte.
//!
//! The head is written last: a file that was not finished has none and is refused.

mod reader;
mod writer;

pub use reader::PackedFile;
pub use writer::{PackedWriter, packed_bytes};

use mains_blocks::BlockFormat;
use serde::{Deserialize, Serialize};

/// What a file begins with.
const MAGIC: [u8; 8] = *b"mainspkd";
/// The version of the format that is read and written.
const VERSION: u32 = 1;
/// Bytes of the head: a page, so that weights begin at one.
const HEAD_BYTES: usize = 4096;
/// Bytes that every weight begins at a multiple of: a cache line, which is what drivers ask for.
const ALIGNMENT: usize = 64;
/// Bytes of a table: 400 for each of as many weights as a GGUF file may have tensors.
const MAX_TABLE_BYTES: u64 = 100 << 20;
/// Bytes of a SHA-256.
const DIGEST_BYTES: usize = 32;

/// One weight of a file. Its layout and shape mean something to the driver alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedTensor {
    /// The tensor's name in GGUF.
    pub name: String,
    /// The layout's id.
    pub layout: String,
    /// The format that is arranged.
    pub format: BlockFormat,
    /// Rows.
    pub rows: u64,
    /// Numbers in a row.
    pub cols: u64,
    /// Equal parts, each arranged by itself.
    pub parts: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The table of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    variant: String,
    driver: String,
    weights: Vec<Row>,
}

/// One row of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    layout: String,
    format: String,
    rows: u64,
    cols: u64,
    parts: u64,
    offset: u64,
    bytes: u64,
    /// Of the bytes, in hexadecimal.
    sha256: String,
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
