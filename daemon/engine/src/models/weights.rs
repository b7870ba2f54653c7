//! A model's weights under their GGUF names, as stored or cast to another format on the way to the driver.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use mains_blocks::{BlockError, BlockFormat, dequantize, quantize};
use mains_contract::{DriverError, WeightData, WeightSource};
use mains_types::TensorFacts;

use super::{Checkpoint, Family, ModelError};

/// Which formats weights are loaded in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cast {
    /// As the files have them.
    #[default]
    AsStored,
    /// Every matrix in this format, every vector in F32.
    Matrices(BlockFormat),
    /// These tensors, by their GGUF names; the others as the files have them.
    Named(BTreeMap<String, BlockFormat>),
}

impl Cast {
    fn target(&self, name: &str, stored: &WeightData<'_>) -> BlockFormat {
        match self {
            Self::AsStored => stored.format,
            Self::Matrices(_) if stored.rows == 1 => BlockFormat::F32,
            Self::Matrices(format) => *format,
            Self::Named(formats) => formats.get(name).copied().unwrap_or(stored.format),
        }
    }
}

/// Where a driver gets a model's weights from. Tensors that are cast are made when first asked for and kept until this
/// value is dropped; the others stay in the mapped files.
#[derive(Debug)]
pub struct Weights {
    checkpoint: Arc<Checkpoint>,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Its name in the files.
    stored_name: String,
    facts: TensorFacts,
    made: OnceLock<Vec<u8>>,
}

impl Weights {
    /// Lists the tensors of `checkpoint` under the names of `family`.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] when a tensor does not belong to the family, is there twice under two names, or its rows
    /// do not suit the format that it is cast to.
    pub(super) fn new(checkpoint: Arc<Checkpoint>, family: &Family, cast: &Cast) -> Result<Self, ModelError> {
        let mut entries = BTreeMap::new();
        for stored_name in checkpoint.tensor_names() {
            let name = checkpoint.gguf_name(family, &stored_name).ok_or_else(|| {
                refuse(
                    &stored_name,
                    format!("the family {} has no such tensor", family.name),
                )
            })?;
            let stored = checkpoint.tensor(&stored_name)?;
            let format = cast.target(&name, &stored);
            if format.row_bytes(stored.cols).is_none() {
                let reason = format!(
                    "a row of {} numbers is no whole number of {format} blocks of {}",
                    stored.cols,
                    format.block_len()
                );
                return Err(refuse(&stored_name, reason));
            }
            let facts = TensorFacts {
                name: name.clone(),
                format,
                rows: stored.rows as u64,
                cols: stored.cols as u64,
            };
            entries.insert(
                name,
                Entry {
                    stored_name,
                    facts,
                    made: OnceLock::new(),
                },
            );
        }
        Ok(Self { checkpoint, entries })
    }

    /// Every tensor in the order of names, in the format that it is loaded in.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorFacts> {
        self.entries.values().map(|entry| &entry.facts)
    }

    /// What is known of the tensor called `name` in GGUF.
    #[must_use]
    pub fn facts(&self, name: &str) -> Option<&TensorFacts> {
        self.entries.get(name).map(|entry| &entry.facts)
    }

    /// Its name in the files.
    pub(super) fn stored_name(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|entry| entry.stored_name.as_str())
    }

    /// Forgets the tensor called `name`: no driver will ask for it.
    pub(super) fn drop_tensor(&mut self, name: &str) {
        self.entries.remove(name);
    }
}

impl WeightSource for Weights {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        let failed = |reason: String| DriverError::Weight {
            name: name.to_owned(),
            reason,
        };
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| failed("the files have no such tensor".to_owned()))?;
        let stored = self
            .checkpoint
            .tensor(&entry.stored_name)
            .map_err(|error| failed(error.to_string()))?;
        let format = entry.facts.format;
        if stored.format == format {
            return Ok(stored);
        }
        let bytes = match entry.made.get() {
            Some(bytes) => bytes,
            None => {
                let made = cast(&stored, format).map_err(|error| failed(error.to_string()))?;
                entry.made.get_or_init(|| made)
            }
        };
        Ok(WeightData {
            format,
            rows: stored.rows,
            cols: stored.cols,
            bytes,
        })
    }
}

fn cast(stored: &WeightData<'_>, format: BlockFormat) -> Result<Vec<u8>, BlockError> {
    let partial = |format| BlockError::PartialBlock {
        format,
        numbers: stored.cols,
    };
    let from = stored
        .format
        .row_bytes(stored.cols)
        .ok_or_else(|| partial(stored.format))?;
    let to = format.row_bytes(stored.cols).ok_or_else(|| partial(format))?;
    let mut numbers = vec![0.0; stored.cols];
    let mut bytes = vec![0; to * stored.rows];
    for (source, target) in stored.bytes.chunks_exact(from).zip(bytes.chunks_exact_mut(to)) {
        dequantize(stored.format, source, &mut numbers)?;
        quantize(format, &numbers, target)?;
    }
    Ok(bytes)
}

pub(super) fn refuse(name: &str, reason: impl Into<String>) -> ModelError {
    ModelError::Tensor {
        name: name.to_owned(),
        reason: reason.into(),
    }
}
