//! The layouts that weights are kept in, by id, and the ways there and back.

use mains_blocks::dequantize;
use mains_contract::{BlockFormat, DriverError, KeptWeight, WeightData, WeightDecl};

use crate::disjoint::Disjoint;
use crate::kernels::{GROUP, PackGroup, UnpackGroup, group_bytes, groups, is_packed};
use crate::plan::{Kept, weight_bytes};
use crate::pool::Pool;

/// Row after row, as blocks or numbers come in a file.
const ROWS: &str = "cpu.rows.1";
/// Groups of 16 rows side by side (`kernels::packed`), those of each part for themselves.
const GROUPS: &str = "cpu.groups16.1";
/// Float32 numbers, column after column.
const COLUMNS: &str = "cpu.columns.1";

/// `declared`, kept as `kept` says, in the contract's words.
pub(crate) fn describe(declared: &WeightDecl, kept: Kept) -> KeptWeight {
    let layout = match kept {
        Kept { packed: true, .. } => GROUPS,
        Kept { transposed: true, .. } => COLUMNS,
        _ => ROWS,
    };
    KeptWeight {
        name: declared.name.clone(),
        layout: layout.to_owned(),
        format: kept.format,
        rows: declared.rows,
        cols: declared.cols,
        parts: kept.parts,
        bytes: weight_bytes(kept, declared.rows, declared.cols),
    }
}

/// The inverse of [`describe`].
///
/// # Errors
/// [`DriverError::Weight`] for what it never gives.
pub(crate) fn understand(weight: &KeptWeight) -> Result<Kept, DriverError> {
    let kept = Kept {
        format: weight.format,
        packed: weight.layout == GROUPS,
        parts: weight.parts,
        transposed: weight.layout == COLUMNS,
    };
    let known = match weight.layout.as_str() {
        GROUPS => is_packed(weight.format),
        COLUMNS => weight.format == BlockFormat::F32,
        ROWS => true,
        _ => false,
    };
    let possible = weight.parts > 0 && weight.rows.is_multiple_of(weight.parts) && weight.cols > 0;
    if !known || !possible || weight_bytes(kept, weight.rows, weight.cols) != weight.bytes {
        let reason = format!(
            "no layout {} of {} x {} {} in {} parts and {} bytes",
            weight.layout, weight.rows, weight.cols, weight.format, weight.parts, weight.bytes
        );
        return Err(refused(&weight.name, reason));
    }
    Ok(kept)
}

/// Bytes of the rows of `weight`, as a file has them.
fn row_bytes(weight: &KeptWeight) -> usize {
    weight.format.row_bytes(weight.cols).unwrap_or(0) * weight.rows
}

/// Arranges `data`, whose shape was checked, in `to`: `weight.bytes` zeros.
///
/// # Errors
/// [`DriverError::Weight`] when it comes in another format than it is kept in.
pub(crate) fn arrange(
    weight: &KeptWeight,
    kept: Kept,
    data: &WeightData<'_>,
    pool: &Pool,
    to: &mut [u8],
) -> Result<(), DriverError> {
    if data.format == kept.format && kept.packed {
        pack(weight, data.bytes, pool, to);
        return Ok(());
    }
    let to = &mut to[..row_bytes(weight)];
    if data.format == kept.format {
        to.copy_from_slice(data.bytes);
    } else if kept.format == BlockFormat::F32 {
        dequantize(data.format, data.bytes, bytemuck::cast_slice_mut(to))
            .map_err(|error| refused(&weight.name, error.to_string()))?;
    } else {
        let reason = format!("it is in {}, the plan has it in {}", data.format, kept.format);
        return Err(refused(&weight.name, reason));
    }
    if kept.transposed {
        transpose(bytemuck::cast_slice_mut(to), weight.cols);
    }
    Ok(())
}

/// The rows that [`arrange`] was given in the format that they are kept in.
pub(crate) fn restore(weight: &KeptWeight, kept: Kept, packed: &[u8], pool: &Pool, out: &mut [u8]) {
    if kept.packed {
        unpack(weight, packed, pool, out);
        return;
    }
    out.copy_from_slice(&packed[..row_bytes(weight)]);
    if kept.transposed {
        let numbers: &mut [f32] = bytemuck::cast_slice_mut(out);
        transpose(numbers, numbers.len() / weight.cols);
    }
}

/// What is arranged with what, group by group: which group of 16 rows, and which bytes of the rows.
fn each_group(
    weight: &KeptWeight,
    pool: &Pool,
    work: impl Fn(std::ops::Range<usize>, std::ops::Range<usize>) + Sync,
) {
    let rows = weight.rows / weight.parts;
    let (of_part, size) = (groups(rows), group_bytes(weight.format, weight.cols));
    let row_bytes = row_bytes(weight) / weight.rows.max(1);
    pool.share(weight.parts * of_part, 1, usize::MAX, |_, groups| {
        for group in groups {
            let (part, first) = (group / of_part, group % of_part * GROUP);
            let start = part * rows + first;
            let end = start + GROUP.min(rows - first);
            work(
                group * size..(group + 1) * size,
                start * row_bytes..end * row_bytes,
            );
        }
    });
}

fn pack(weight: &KeptWeight, source: &[u8], pool: &Pool, to: &mut [u8]) {
    let to = Disjoint::new(to);
    each_group(weight, pool, |group, rows| {
        // SAFETY: groups do not overlap, and one thread has each.
        let out = unsafe { to.part(group) };
        let group = PackGroup {
            source: &source[rows],
            row_bytes: source.len() / weight.rows,
            cols: weight.cols,
            out,
        };
        group.pack(weight.format);
    });
}

fn unpack(weight: &KeptWeight, source: &[u8], pool: &Pool, to: &mut [u8]) {
    let row_bytes = to.len() / weight.rows.max(1);
    let to = Disjoint::new(to);
    each_group(weight, pool, |group, rows| {
        // SAFETY: the rows of groups do not overlap, and one thread has each group.
        let out = unsafe { to.part(rows) };
        let group = UnpackGroup {
            source: &source[group],
            row_bytes,
            cols: weight.cols,
            out,
        };
        group.unpack(weight.format);
    });
}

/// Exchanges the rows of `cols` numbers with their columns.
fn transpose(numbers: &mut [f32], cols: usize) {
    let rows = numbers.len() / cols.max(1);
    let before = numbers.to_vec();
    for (at, number) in before.into_iter().enumerate() {
        numbers[at % cols * rows + at / cols] = number;
    }
}

pub(crate) fn refused(name: &str, reason: String) -> DriverError {
    DriverError::Weight {
        name: name.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::transpose;

    #[test]
    fn columns_become_rows_and_rows_columns() {
        let mut numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        transpose(&mut numbers, 3);
        assert_eq!(numbers, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        transpose(&mut numbers, 2);
        assert_eq!(numbers, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
