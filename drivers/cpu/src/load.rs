//! Weights, copied once into one arena.

use mains_blocks::dequantize;
use mains_contract::{
    BlockFormat, Bytes, DriverError, Graph, WeightData, WeightDecl, WeightId, WeightSource,
};

use crate::arena::{Arena, LINE_BYTES};
use crate::plan::{Plan, weight_bytes};

/// A weight where kernels read it: rows of blocks, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) format: BlockFormat,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) bytes: &'a [u8],
}

/// All weights of a model.
pub(crate) struct Weights {
    arena: Arena,
    entries: Vec<Entry>,
}

struct Entry {
    format: BlockFormat,
    rows: usize,
    cols: usize,
    start: usize,
    len: usize,
}

impl Weights {
    /// Copies what `graph` declares from `source` into memory of exact size.
    ///
    /// # Errors
    /// [`DriverError`] when a weight is missing, has another shape or format than planned, or memory runs out.
    pub(crate) fn load(graph: &Graph, plan: &Plan, source: &dyn WeightSource) -> Result<Self, DriverError> {
        let mut entries = Vec::with_capacity(graph.weights().len());
        let mut total = 0_usize;
        for (declared, format) in graph.weights().iter().zip(&plan.formats) {
            let taken = weight_bytes(*format, declared.rows, declared.cols);
            let row_bytes = format.row_bytes(declared.cols).unwrap_or(usize::MAX);
            entries.push(Entry {
                format: *format,
                rows: declared.rows,
                cols: declared.cols,
                start: total,
                len: row_bytes.saturating_mul(declared.rows),
            });
            total = total.saturating_add(taken);
        }
        let mut arena = Arena::new(total, "weights")?;
        for (declared, entry) in graph.weights().iter().zip(&entries) {
            let data = checked(declared, source)?;
            fill(
                declared,
                entry,
                &data,
                &mut arena.bytes_mut()[entry.start..][..entry.len],
            )?;
        }
        Ok(Self { arena, entries })
    }

    /// Bytes that were allocated.
    pub(crate) fn size(&self) -> Bytes {
        self.arena.size()
    }

    /// The weight behind `id`.
    pub(crate) fn matrix(&self, id: WeightId) -> Matrix<'_> {
        let entry = &self.entries[id.0 as usize];
        Matrix {
            format: entry.format,
            rows: entry.rows,
            cols: entry.cols,
            bytes: &self.arena.bytes()[entry.start..][..entry.len],
        }
    }

    /// The numbers of a gain or a bias.
    pub(crate) fn vector(&self, id: WeightId) -> &[f32] {
        let entry = &self.entries[id.0 as usize];
        debug_assert!(entry.format == BlockFormat::F32 && entry.start.is_multiple_of(LINE_BYTES));
        bytemuck::cast_slice(&self.arena.bytes()[entry.start..][..entry.len])
    }
}

/// The tensor that `declared` names, with its shape.
///
/// # Errors
/// [`DriverError::Weight`] when it has another shape or not the bytes for it.
pub(crate) fn checked<'a>(
    declared: &WeightDecl,
    source: &'a dyn WeightSource,
) -> Result<WeightData<'a>, DriverError> {
    let data = source.weight(&declared.name)?;
    if (data.rows, data.cols) != (declared.rows, declared.cols) {
        return Err(refused(
            declared,
            format!(
                "it is {} x {}, the model declares {} x {}",
                data.rows, data.cols, declared.rows, declared.cols
            ),
        ));
    }
    let expected = data
        .format
        .row_bytes(data.cols)
        .and_then(|row| row.checked_mul(data.rows));
    if expected != Some(data.bytes.len()) {
        return Err(refused(
            declared,
            format!(
                "{} bytes are not {} rows of {} numbers in {}",
                data.bytes.len(),
                data.rows,
                data.cols,
                data.format
            ),
        ));
    }
    Ok(data)
}

fn fill(
    declared: &WeightDecl,
    entry: &Entry,
    data: &WeightData<'_>,
    to: &mut [u8],
) -> Result<(), DriverError> {
    if data.format == entry.format {
        to.copy_from_slice(data.bytes);
        return Ok(());
    }
    if entry.format != BlockFormat::F32 {
        return Err(refused(
            declared,
            format!("it is in {}, the plan has it in {}", data.format, entry.format),
        ));
    }
    dequantize(data.format, data.bytes, bytemuck::cast_slice_mut(to))
        .map_err(|error| refused(declared, error.to_string()))
}

fn refused(declared: &WeightDecl, reason: String) -> DriverError {
    DriverError::Weight {
        name: declared.name.clone(),
        reason,
    }
}
