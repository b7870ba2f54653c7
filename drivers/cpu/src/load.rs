//! Weights: packed ones where they are, all others copied once into one arena.

use mains_contract::{
    BlockFormat, Bytes, DriverError, Graph, SharedBytes, WeightData, WeightDecl, WeightId, WeightSource,
};

use crate::arena::{Arena, LINE_BYTES};
use crate::arrange::{arrange, describe, refused};
use crate::plan::{Kept, Plan};
use crate::pool::Pool;

/// A weight where kernels read it.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) kept: Kept,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// Part `index` of its equal parts.
    pub(crate) fn part(&self, index: usize) -> &'a [u8] {
        let bytes = self.bytes.len() / self.kept.parts;
        &self.bytes[index * bytes..][..bytes]
    }
}

/// All weights of a model.
pub(crate) struct Weights {
    arena: Arena,
    entries: Vec<Entry>,
}

struct Entry {
    kept: Kept,
    rows: usize,
    cols: usize,
    /// Its bytes, and as many as its last cache line has more.
    place: Place,
    /// Without those.
    len: usize,
}

enum Place {
    /// From there on in the arena, that many bytes.
    Arena(usize, usize),
    /// Packed before the load, and kept by whoever has it.
    Shared(SharedBytes),
}

impl Weights {
    /// Finds or copies what `graph` declares from `source`, in the layout of `plan`.
    ///
    /// # Errors
    /// [`DriverError`] when a weight is missing, has another shape or format than planned, or memory runs out.
    pub(crate) fn load(
        graph: &Graph,
        plan: &Plan,
        source: &dyn WeightSource,
        pool: &Pool,
    ) -> Result<Self, DriverError> {
        let mut entries = Vec::with_capacity(graph.weights().len());
        let mut total = 0_usize;
        for (declared, kept) in graph.weights().iter().zip(&plan.kept) {
            let weight = describe(declared, *kept);
            let place = match source.packed(&weight)? {
                Some(shared) => Place::Shared(fitting(&weight.name, shared, weight.bytes)?),
                None => {
                    let start = total;
                    total = total.saturating_add(weight.bytes);
                    Place::Arena(start, weight.bytes)
                }
            };
            let row_bytes = kept.format.row_bytes(declared.cols).unwrap_or(usize::MAX);
            let len = if kept.packed {
                weight.bytes
            } else {
                row_bytes.saturating_mul(declared.rows)
            };
            entries.push(Entry {
                kept: *kept,
                rows: declared.rows,
                cols: declared.cols,
                place,
                len,
            });
        }
        let mut arena = Arena::new(total, "weights")?;
        for (declared, entry) in graph.weights().iter().zip(&entries) {
            if let Place::Arena(start, bytes) = entry.place {
                let data = checked(declared, source)?;
                let to = &mut arena.bytes_mut()[start..][..bytes];
                arrange(&describe(declared, entry.kept), entry.kept, &data, pool, to)?;
            }
        }
        Ok(Self { arena, entries })
    }

    /// Bytes that were allocated or are shared.
    pub(crate) fn size(&self) -> Bytes {
        let shared = self.entries.iter().map(|entry| match &entry.place {
            Place::Arena(..) => Bytes::ZERO,
            Place::Shared(bytes) => Bytes::from(bytes.as_ref().len()),
        });
        self.arena.size() + shared.sum()
    }

    fn bytes<'a>(&'a self, entry: &'a Entry) -> &'a [u8] {
        match &entry.place {
            Place::Arena(start, _) => &self.arena.bytes()[*start..][..entry.len],
            Place::Shared(bytes) => &bytes.as_ref()[..entry.len],
        }
    }

    /// The weight behind `id`.
    pub(crate) fn matrix(&self, id: WeightId) -> Matrix<'_> {
        let entry = &self.entries[id.0 as usize];
        Matrix {
            kept: entry.kept,
            rows: entry.rows,
            cols: entry.cols,
            bytes: self.bytes(entry),
        }
    }

    /// The numbers of a gain or a bias, row by row, or column by column when it is kept transposed.
    pub(crate) fn vector(&self, id: WeightId) -> &[f32] {
        let entry = &self.entries[id.0 as usize];
        debug_assert!(entry.kept.format == BlockFormat::F32);
        bytemuck::cast_slice(self.bytes(entry))
    }
}

/// `shared`, when kernels can read it.
///
/// # Errors
/// [`DriverError::Weight`] when it has another length than it is kept in, or begins inside of a cache line.
fn fitting(name: &str, shared: SharedBytes, bytes: usize) -> Result<SharedBytes, DriverError> {
    let found = shared.as_ref();
    if found.len() != bytes || !found.as_ptr().addr().is_multiple_of(LINE_BYTES) {
        let reason = format!(
            "its packed bytes must be {bytes}, aligned to {LINE_BYTES}; there are {} at {:p}",
            found.len(),
            found.as_ptr()
        );
        return Err(refused(name, reason));
    }
    Ok(shared)
}

/// The tensor that `declared` names, with its shape.
///
/// # Errors
/// [`DriverError::Weight`] when it has another shape or not the bytes for it.
fn checked<'a>(declared: &WeightDecl, source: &'a dyn WeightSource) -> Result<WeightData<'a>, DriverError> {
    let data = source.weight(&declared.name)?;
    check_shape(&declared.name, &data, declared.rows, declared.cols)?;
    Ok(data)
}

/// Whether `data` is `rows` x `cols` and has the bytes for it.
///
/// # Errors
/// [`DriverError::Weight`] when it is not.
pub(crate) fn check_shape(
    name: &str,
    data: &WeightData<'_>,
    rows: usize,
    cols: usize,
) -> Result<(), DriverError> {
    if (data.rows, data.cols) != (rows, cols) {
        let reason = format!(
            "it is {} x {}, the model declares {rows} x {cols}",
            data.rows, data.cols
        );
        return Err(refused(name, reason));
    }
    let expected = data.format.row_bytes(cols).and_then(|row| row.checked_mul(rows));
    if expected != Some(data.bytes.len()) {
        let reason = format!(
            "{} bytes are not {rows} rows of {cols} numbers in {}",
            data.bytes.len(),
            data.format
        );
        return Err(refused(name, reason));
    }
    Ok(())
}
