//! What a model is to be converted to.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use mains_contract::BlockFormat;
use serde::{Deserialize, Serialize};

use super::plan::format;
use super::to_worker::bounded_path;
use super::{FrameError, bounds};

/// A model, and the types that some of its tensors are to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertOrder {
    /// A GGUF file or a Hugging Face folder.
    pub path: PathBuf,
    /// Tensors by their GGUF names; the others stay as they are.
    pub formats: Vec<(String, BlockFormat)>,
    /// What errors in the columns of its matrices cost: a GGUF file.
    pub importance: Option<PathBuf>,
    /// Threads that quantize; as many as there are processors when 0.
    pub threads: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ConvertOrderWire {
    path: Vec<u8>,
    formats: Vec<(String, u32)>,
    importance: Option<Vec<u8>>,
    threads: u32,
}

impl From<ConvertOrder> for ConvertOrderWire {
    fn from(order: ConvertOrder) -> Self {
        let bytes = |path: PathBuf| OsString::from(path).into_vec();
        let formats = order.formats.into_iter();
        Self {
            path: bytes(order.path),
            formats: formats.map(|(name, format)| (name, format.gguf_id())).collect(),
            importance: order.importance.map(bytes),
            threads: order.threads,
        }
    }
}

impl TryFrom<ConvertOrderWire> for ConvertOrder {
    type Error = FrameError;

    fn try_from(wire: ConvertOrderWire) -> Result<Self, FrameError> {
        Ok(Self {
            path: bounded_path(wire.path)?,
            formats: bounds::list("convert.formats", wire.formats, bounds::TENSORS, |(name, id)| {
                let name = bounds::text("convert.name", name, bounds::NAME_BYTES)?;
                Ok((name, format("convert.format", id)?))
            })?,
            importance: wire.importance.map(bounded_path).transpose()?,
            threads: wire.threads,
        })
    }
}
