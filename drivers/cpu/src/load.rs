//! Weights, copied once into one arena.

use mains_blocks::dequantize;
use mains_contract::{
    BlockFormat, Bytes, DriverError, Graph, WeightData, WeightDecl, WeightId, WeightSource,
};

use crate::arena::{Arena, LINE_BYTES};
use crate::disjoint::Disjoint;
use crate::kernels::{GROUP, PackGroup, group_bytes, groups};
use crate::plan::{Kept, Plan, weight_bytes};
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
    start: usize,
    len: usize,
}

impl Weights {
    /// Copies what `graph` declares from `source` into memory of exact size, in the layout of `plan`.
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
            let taken = weight_bytes(*kept, declared.rows, declared.cols);
            let row_bytes = kept.format.row_bytes(declared.cols).unwrap_or(usize::MAX);
            entries.push(Entry {
                kept: *kept,
                rows: declared.rows,
                cols: declared.cols,
                start: total,
                len: if kept.packed {
                    taken
                } else {
                    row_bytes.saturating_mul(declared.rows)
                },
            });
            total = total.saturating_add(taken);
        }
        let mut arena = Arena::new(total, "weights")?;
        for (declared, entry) in graph.weights().iter().zip(&entries) {
            let data = checked(declared, source)?;
            let to = &mut arena.bytes_mut()[entry.start..][..entry.len];
            if entry.kept.packed && data.format == entry.kept.format {
                pack(entry, &data, pool, to);
            } else {
                fill(declared, entry, &data, to)?;
                if entry.kept.transposed {
                    transpose(bytemuck::cast_slice_mut(to), entry.cols);
                }
            }
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
            kept: entry.kept,
            rows: entry.rows,
            cols: entry.cols,
            bytes: &self.arena.bytes()[entry.start..][..entry.len],
        }
    }

    /// The numbers of a gain or a bias, row by row, or column by column when it is kept transposed.
    pub(crate) fn vector(&self, id: WeightId) -> &[f32] {
        let entry = &self.entries[id.0 as usize];
        debug_assert!(entry.kept.format == BlockFormat::F32 && entry.start.is_multiple_of(LINE_BYTES));
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

/// Packs the groups of all parts.
fn pack(entry: &Entry, data: &WeightData<'_>, pool: &Pool, to: &mut [u8]) {
    let rows = entry.rows / entry.kept.parts;
    let (of_part, size) = (groups(rows), group_bytes(entry.kept.format, entry.cols));
    let row_bytes = data.bytes.len() / entry.rows.max(1);
    let to = Disjoint::new(to);
    pool.share(entry.kept.parts * of_part, 1, usize::MAX, |_, groups| {
        for group in groups {
            let (part, first) = (group / of_part, group % of_part * GROUP);
            let count = GROUP.min(rows - first);
            let source = &data.bytes[(part * rows + first) * row_bytes..][..count * row_bytes];
            // SAFETY: groups do not overlap, and this thread alone has this one.
            let out = unsafe { to.part(group * size..(group + 1) * size) };
            let group = PackGroup {
                source,
                row_bytes,
                cols: entry.cols,
                out,
            };
            group.pack(entry.kept.format);
        }
    });
}

fn fill(
    declared: &WeightDecl,
    entry: &Entry,
    data: &WeightData<'_>,
    to: &mut [u8],
) -> Result<(), DriverError> {
    if data.format == entry.kept.format && !entry.kept.packed {
        to.copy_from_slice(data.bytes);
        return Ok(());
    }
    if entry.kept.format != BlockFormat::F32 {
        return Err(refused(
            declared,
            format!(
                "it is in {}, the plan has it in {}",
                data.format, entry.kept.format
            ),
        ));
    }
    dequantize(data.format, data.bytes, bytemuck::cast_slice_mut(to))
        .map_err(|error| refused(declared, error.to_string()))
}

/// Exchanges the rows of `cols` numbers with their columns.
fn transpose(numbers: &mut [f32], cols: usize) {
    let rows = numbers.len() / cols.max(1);
    let before = numbers.to_vec();
    for (at, number) in before.into_iter().enumerate() {
        numbers[at % cols * rows + at / cols] = number;
    }
}

fn refused(declared: &WeightDecl, reason: String) -> DriverError {
    DriverError::Weight {
        name: declared.name.clone(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::transpose;

    #[test]
    fn columns_become_rows() {
        let mut numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        transpose(&mut numbers, 3);
        assert_eq!(numbers, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
