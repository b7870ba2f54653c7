//! A model's weights under their GGUF names, as stored or cast to another format on the way to the driver.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use mains_blocks::{BlockError, BlockFormat, dequantize, quantize};
use mains_contract::{DriverError, Graph, Op, WeightData, WeightSource};
use mains_types::TensorFacts;

use super::cut::{self, Cut};
use super::transform::{Shape, Transform};
use super::{Checkpoint, Family, ModelError};
use crate::blocks::GatedDelta;

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
    fn target(&self, name: &str, stored: Shape) -> BlockFormat {
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
    heads: Heads,
}

#[derive(Debug)]
struct Entry {
    /// Its name in the files, or those of all experts in order.
    stored_names: Vec<String>,
    transform: Transform,
    /// Where it is in what files keep, when it is a part of that.
    cut: Option<Cut>,
    /// As the graph takes it before a cast.
    shape: Shape,
    facts: TensorFacts,
    made: OnceLock<Vec<u8>>,
}

impl Weights {
    /// Lists the tensors of `checkpoint` under the names of `family`, as `graph` declares them; `delta` is linear attention
    /// as it has it.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] when a tensor does not belong to the family, is there twice under two names, experts are
    /// missing or differ, or its rows do not suit the format that it is cast to.
    pub(super) fn new(
        checkpoint: Arc<Checkpoint>,
        family: &Family,
        cast: &Cast,
        graph: &Graph,
        delta: Option<GatedDelta>,
    ) -> Result<Self, ModelError> {
        let heads = Heads {
            delta,
            ..Heads::of(graph)
        };
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for (name, (transform, parts)) in named_parts(&checkpoint, family)? {
            let mut shape = whole_shape(&checkpoint, transform, &parts)?;
            let cut = cut_of(graph, &name, heads, shape).filter(|_| transform.cuts(checkpoint.is_gguf()));
            if let Some(cut) = &cut {
                if !cut.fits(transform) || !cut::is_by_number(shape.format) {
                    let reason = format!(
                        "it has {} x {} numbers in {}, from which {:?} cannot be taken",
                        shape.rows, shape.cols, shape.format, cut.declared
                    );
                    return Err(refuse(&parts[&0], reason));
                }
                [shape.rows, shape.cols] = cut.declared;
            }
            let stored_names: Vec<String> = parts.into_values().collect();
            let format = cast.target(&name, shape);
            if format.row_bytes(shape.cols).is_none() {
                let reason = format!(
                    "a row of {} numbers is no whole number of {format} blocks of {}",
                    shape.cols,
                    format.block_len()
                );
                return Err(refuse(&stored_names[0], reason));
            }
            let facts = TensorFacts {
                name: name.clone(),
                format,
                rows: shape.rows as u64,
                cols: shape.cols as u64,
            };
            let made = OnceLock::new();
            entries.insert(
                name,
                Entry {
                    stored_names,
                    transform,
                    cut,
                    shape,
                    facts,
                    made,
                },
            );
        }
        Ok(Self {
            checkpoint,
            entries,
            heads,
        })
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

    /// Dimensions of GGUF's tensor `name` where it is a part, by head, of what other files keep.
    pub(super) fn cut_dims(&self, name: &str) -> Option<Vec<usize>> {
        let entry = self.entries.get(name)?;
        let [rows, cols] = entry.cut.as_ref()?.declared;
        Some(match entry.transform {
            Transform::LatentKeys | Transform::LatentValues => {
                vec![self.heads.count, rows / self.heads.count.max(1), cols]
            }
            Transform::ValueHeads(_) if rows == 1 => vec![cols],
            _ => vec![rows, cols],
        })
    }

    /// Its name in the files, that of the first expert when each has one.
    pub(super) fn stored_name(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|entry| entry.stored_names[0].as_str())
    }

    /// Its numbers in GGUF's order, in the format that the graph takes before a cast.
    pub(super) fn exported(&self, name: &str) -> Result<Cow<'_, [u8]>, DriverError> {
        let entry = self.entry(name)?;
        let is_gguf = self.checkpoint.is_gguf();
        if entry.stored_names.len() == 1 && (is_gguf || entry.transform == Transform::AsIs) {
            return Ok(Cow::Borrowed(self.stored(name, &entry.stored_names[0])?.bytes));
        }
        let bytes = self.graph_bytes(name, entry)?.into_owned();
        Ok(Cow::Owned(entry.transform.export(
            entry.shape,
            self.heads.dim,
            bytes,
        )))
    }

    /// Gives the memory of mapped bytes back to the system until they are next read.
    pub(super) fn release(&self, bytes: &[u8]) {
        self.checkpoint.release(bytes);
    }

    /// The graph's tensor before a cast.
    fn graph_bytes(&self, name: &str, entry: &Entry) -> Result<Cow<'_, [u8]>, DriverError> {
        let is_gguf = self.checkpoint.is_gguf();
        let first = self.stored(name, &entry.stored_names[0])?;
        if entry.stored_names.len() == 1 && !entry.transform.changes(is_gguf) {
            return Ok(Cow::Borrowed(first.bytes));
        }
        if let Some(cut) = &entry.cut {
            let taken = cut.bytes(entry.transform, first.bytes);
            let shape = Shape {
                format: first.format,
                ..entry.shape
            };
            let loaded = entry.transform.load(is_gguf, shape, self.heads.dim, &taken);
            return loaded
                .map(Cow::Owned)
                .map_err(|error| failed(name, error.to_string()));
        }
        let mut bytes = Vec::new();
        for stored_name in &entry.stored_names {
            bytes.extend_from_slice(self.stored(name, stored_name)?.bytes);
        }
        let stored = Shape {
            format: first.format,
            rows: entry.shape.rows,
            cols: first.cols,
        };
        let loaded = match entry.transform.is_of_matrices() {
            false => entry.transform.load(is_gguf, stored, self.heads.dim, &bytes),
            true => {
                let unit = self.checkpoint.matrix_rows(&entry.stored_names[0]);
                let unit = unit.map_err(|error| failed(name, error.to_string()))?;
                let rows = first.rows;
                let stored = Shape { rows, ..stored };
                entry.transform.load(is_gguf, stored, unit, &bytes)
            }
        };
        loaded
            .map(Cow::Owned)
            .map_err(|error| failed(name, error.to_string()))
    }

    /// The tensor as a driver takes it.
    fn driver_bytes(&self, name: &str, entry: &Entry) -> Result<Cow<'_, [u8]>, DriverError> {
        let bytes = self.graph_bytes(name, entry)?;
        let (shape, format) = (entry.shape, entry.facts.format);
        if shape.format == format {
            return Ok(bytes);
        }
        let cast = cast(shape, &bytes, format);
        cast.map(Cow::Owned)
            .map_err(|error| failed(name, error.to_string()))
    }

    /// The bytes of the tensor called `name` for who keeps them; none when the files have them as they are.
    pub(super) fn made(&self, name: &str) -> Result<Option<Vec<u8>>, DriverError> {
        Ok(match self.driver_bytes(name, self.entry(name)?)? {
            Cow::Borrowed(_) => None,
            Cow::Owned(bytes) => Some(bytes),
        })
    }

    fn entry(&self, name: &str) -> Result<&Entry, DriverError> {
        let entry = self.entries.get(name);
        entry.ok_or_else(|| failed(name, "the files have no such tensor".to_owned()))
    }

    fn stored(&self, name: &str, stored_name: &str) -> Result<WeightData<'_>, DriverError> {
        let stored = self.checkpoint.tensor(stored_name);
        stored.map_err(|error| failed(name, error.to_string()))
    }

    /// Forgets the tensor called `name`: no driver will ask for it.
    pub(super) fn drop_tensor(&mut self, name: &str) {
        self.entries.remove(name);
    }
}

impl WeightSource for Weights {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        let entry = self.entry(name)?;
        let (shape, format) = (entry.shape, entry.facts.format);
        let data = |bytes| WeightData {
            format,
            rows: shape.rows,
            cols: shape.cols,
            bytes,
        };
        if let Some(bytes) = entry.made.get() {
            return Ok(data(bytes));
        }
        Ok(data(match self.driver_bytes(name, entry)? {
            Cow::Borrowed(bytes) => bytes,
            Cow::Owned(made) => entry.made.get_or_init(|| made),
        }))
    }

    fn format(&self, name: &str) -> Result<BlockFormat, DriverError> {
        Ok(self.entry(name)?.facts.format)
    }
}

/// Query heads of a graph: what is done to tensors may depend on them.
#[derive(Debug, Clone, Copy)]
struct Heads {
    count: usize,
    dim: usize,
    delta: Option<GatedDelta>,
}

impl Heads {
    /// Those of the first attention; one of width 1 when there is none.
    fn of(graph: &Graph) -> Self {
        let of_attention = |op: &Op| match op {
            Op::Attention { heads, head_dim, .. } => Some(Self {
                count: *heads,
                dim: *head_dim,
                delta: None,
            }),
            _ => None,
        };
        let found = graph.nodes().iter().find_map(|node| of_attention(&node.op));
        found.unwrap_or(Self {
            count: 1,
            dim: 1,
            delta: None,
        })
    }
}

fn cut_of(graph: &Graph, name: &str, heads: Heads, stored: Shape) -> Option<Cut> {
    let mut weights = graph.weights().iter();
    let declared = weights.find(|weight| weight.name == name)?;
    Some(Cut {
        stored,
        declared: [declared.rows, declared.cols],
        heads: heads.count,
        delta: heads.delta,
    })
}

/// By GGUF name: what is done to the tensor, and its parts' names in the files by the number of the expert.
type NamedParts = BTreeMap<String, (Transform, BTreeMap<usize, String>)>;

fn named_parts(checkpoint: &Checkpoint, family: &Family) -> Result<NamedParts, ModelError> {
    let mut named = NamedParts::new();
    for (stored_name, parts) in checkpoint.all_parts(family) {
        if parts.is_empty() {
            let reason = format!("the family {} has no such tensor", family.name);
            return Err(refuse(&stored_name, reason));
        }
        for part in parts {
            let (_, parts) = named
                .entry(part.gguf)
                .or_insert_with(|| (part.transform, BTreeMap::new()));
            if let Some(other) = parts.insert(part.expert.unwrap_or(0), stored_name.clone()) {
                return Err(refuse(&stored_name, format!("it is the same as {other}")));
            }
        }
    }
    Ok(named)
}

/// The shape of all parts one below the other, in the format that the transform gives.
fn whole_shape(
    checkpoint: &Checkpoint,
    transform: Transform,
    parts: &BTreeMap<usize, String>,
) -> Result<Shape, ModelError> {
    let mut whole: Option<Shape> = None;
    let mut unit = 1;
    for ((expert, stored_name), expected) in parts.iter().zip(0..) {
        if *expert != expected {
            return Err(refuse(
                stored_name,
                format!("that of expert {expected} is missing"),
            ));
        }
        let stored = checkpoint.tensor(stored_name)?;
        let first = whole.get_or_insert(Shape {
            format: stored.format,
            rows: 0,
            cols: stored.cols,
        });
        if (stored.format, stored.cols) != (first.format, first.cols) {
            return Err(refuse(stored_name, "it is not like the other experts'"));
        }
        first.rows += stored.rows;
        unit = checkpoint.matrix_rows(stored_name)?;
    }
    let whole = whole.expect("a tensor that was named has a part");
    Ok(transform.shape(checkpoint.is_gguf(), whole, unit))
}

fn failed(name: &str, reason: String) -> DriverError {
    DriverError::Weight {
        name: name.to_owned(),
        reason,
    }
}

fn cast(shape: Shape, bytes: &[u8], format: BlockFormat) -> Result<Vec<u8>, BlockError> {
    let row_bytes = |format: BlockFormat| {
        format.row_bytes(shape.cols).ok_or(BlockError::PartialBlock {
            format,
            numbers: shape.cols,
        })
    };
    let (from, to) = (row_bytes(shape.format)?, row_bytes(format)?);
    let mut numbers = vec![0.0; shape.cols];
    let mut made = vec![0; to * shape.rows];
    for (source, target) in bytes.chunks_exact(from).zip(made.chunks_exact_mut(to)) {
        dequantize(shape.format, source, &mut numbers)?;
        quantize(format, &numbers, target)?;
    }
    Ok(made)
}

pub(super) fn refuse(name: &str, reason: impl Into<String>) -> ModelError {
    ModelError::Tensor {
        name: name.to_owned(),
        reason: reason.into(),
    }
}
