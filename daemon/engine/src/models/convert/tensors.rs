//! Tensors: which format each gets, and their numbers in it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write;

use mains_blocks::{BlockFormat, dequantize, quantize};
use mains_formats::{Tensor, TensorSpec};

use super::ConvertError;
use crate::models::checkpoint::ALL_ROPE_FACTORS;
use crate::models::family::Part;
use crate::models::{Checkpoint, Model, Weights};

/// Numbers that are converted at once: enough to make calls cheap, and 4 MiB of float32.
const CHUNK_NUMBERS: usize = 1 << 20;

/// A tensor of the new file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    /// Columns, and the format before.
    shape: (usize, BlockFormat),
    /// Numbers that are no weight of the model.
    numbers: Option<Vec<f32>>,
    pub(super) spec: TensorSpec,
}

/// Every tensor that the model uses, in the order of its files; experts are one tensor.
pub(super) fn plan(
    checkpoint: &Checkpoint,
    model: &Model,
    wanted: Option<BlockFormat>,
    notes: &mut Vec<String>,
) -> Vec<Planned> {
    let mut planned: Vec<Planned> = model
        .rope_factors
        .iter()
        .map(|(name, factors)| rope_factors(name, factors))
        .collect();
    let from_folder = matches!(checkpoint, Checkpoint::HuggingFace(_));
    let mut experts = BTreeSet::new();
    for tensor in stored_tensors(checkpoint) {
        let parts = checkpoint.parts(model.family, tensor.name);
        let is_used = |part: &Part| model.weights.facts(&part.gguf).is_some();
        if !parts.iter().any(is_used) && !ALL_ROPE_FACTORS.contains(&tensor.name) {
            notes.push(format!(
                "{} is left out: the settings have no use for it",
                tensor.name
            ));
        }
        for part in parts.into_iter().filter(is_used) {
            if part.expert.is_none() || experts.insert(part.gguf.clone()) {
                planned.push(plan_part(model, &tensor, part, (from_folder, wanted), notes));
            }
        }
    }
    planned
}

/// A tensor of the new file that is made of `tensor`, with the others of its experts if it has one.
fn plan_part(
    model: &Model,
    tensor: &Tensor<'_>,
    part: Part,
    (from_folder, wanted): (bool, Option<BlockFormat>),
    notes: &mut Vec<String>,
) -> Planned {
    let size = |facts: u64, stored: usize| usize::try_from(facts).unwrap_or(stored);
    let facts = model.weights.facts(&part.gguf);
    let (rows, cols) = facts.map_or((tensor.rows, tensor.cols), |facts| {
        (size(facts.rows, tensor.rows), size(facts.cols, tensor.cols))
    });
    let mut dims = tensor.dims.to_vec();
    if part.expert.is_some() {
        dims.insert(0, rows / tensor.rows.max(1));
    }
    if part.transform.is_of_matrices() && from_folder {
        dims = match *tensor.dims {
            [matrices, _, _] => vec![matrices, rows / matrices.max(1), cols],
            _ => vec![rows, cols],
        };
    }
    let tensor = Tensor { cols, ..*tensor };
    let format = format(from_folder, &tensor, wanted);
    if let Some(wanted) = wanted.filter(|wanted| is_matrix(&tensor) && *wanted != format) {
        notes.push(format!(
            "{} becomes {format}: its rows of {} are no whole number of {wanted} blocks of {}",
            part.gguf,
            tensor.cols,
            wanted.block_len()
        ));
    }
    Planned {
        shape: (tensor.cols, part.transform.format(!from_folder, tensor.format)),
        numbers: None,
        spec: TensorSpec {
            name: part.gguf,
            format,
            dims,
        },
    }
}

/// The tensor of what the frequencies of the rotation are divided by.
fn rope_factors(name: &str, factors: &[f32]) -> Planned {
    Planned {
        shape: (factors.len(), BlockFormat::F32),
        numbers: Some(factors.to_vec()),
        spec: TensorSpec {
            name: name.to_owned(),
            format: BlockFormat::F32,
            dims: vec![factors.len()],
        },
    }
}

/// The format of a tensor in the new file. Vectors are F32, as drivers and other programs expect. A matrix whose rows do
/// not suit the format gets the one that [`BlockFormat::suited_to`] states, or else stays in 16 bits: F16 when it is stored
/// so, BF16 otherwise.
fn format(from_folder: bool, tensor: &Tensor<'_>, wanted: Option<BlockFormat>) -> BlockFormat {
    match wanted {
        None if from_folder && !is_matrix(tensor) => BlockFormat::F32,
        None => tensor.format,
        Some(_) if !is_matrix(tensor) => BlockFormat::F32,
        Some(wanted) => wanted.suited_to(tensor.cols).unwrap_or(match tensor.format {
            BlockFormat::F16 => BlockFormat::F16,
            _ => BlockFormat::BF16,
        }),
    }
}

pub(super) fn is_matrix(tensor: &Tensor<'_>) -> bool {
    tensor.dims.len() > 1
}

/// Writes a tensor's numbers in its new format.
pub(super) fn write(weights: &Weights, planned: &Planned, out: &mut dyn Write) -> Result<(), ConvertError> {
    let name = &planned.spec.name;
    let stored = match &planned.numbers {
        Some(numbers) => Cow::Owned(numbers.iter().flat_map(|number| number.to_le_bytes()).collect()),
        None => weights.exported(name).map_err(ConvertError::Weight)?,
    };
    let (cols, from) = planned.shape;
    let to = planned.spec.format;
    if from == to {
        return Ok(out.write_all(&stored)?);
    }
    let whole = "rows were checked against both formats when they were planned";
    let (from_row, to_row) = (
        from.row_bytes(cols).expect(whole),
        to.row_bytes(cols).expect(whole),
    );
    let rows = (CHUNK_NUMBERS / cols).max(1);
    let mut numbers = vec![0.0; rows * cols];
    let mut bytes = vec![0; rows * to_row];
    for (index, chunk) in stored.chunks(rows * from_row).enumerate() {
        let rows_here = chunk.len() / from_row;
        let numbers = &mut numbers[..rows_here * cols];
        let bytes = &mut bytes[..rows_here * to_row];
        dequantize(from, chunk, numbers)
            .and_then(|()| quantize(to, numbers, bytes))
            .map_err(|source| ConvertError::Tensor {
                name: name.clone(),
                row: index * rows,
                source,
            })?;
        out.write_all(bytes)?;
    }
    Ok(())
}

fn stored_tensors(checkpoint: &Checkpoint) -> Vec<Tensor<'_>> {
    match checkpoint {
        Checkpoint::Gguf(gguf) => gguf.tensors().collect(),
        Checkpoint::HuggingFace(folder) => folder.tensors().collect(),
    }
}

#[cfg(test)]
mod tests {
    use mains_blocks::BlockFormat::{BF16, F16, F32, Q4_K, Q5_0, Q8_0};
    use mains_formats::Tensor;

    use super::format;

    #[test]
    fn a_format_that_rows_do_not_suit_gives_way() {
        let tensor = |stored, dims: &'static [usize]| Tensor {
            name: "w",
            format: stored,
            dims,
            rows: 1,
            cols: dims[dims.len() - 1],
            bytes: &[],
        };
        for (stored, dims, wanted, expected) in [
            (F32, &[2, 256][..], Q4_K, Q4_K),
            (F32, &[2, 96], Q4_K, Q5_0),
            (F32, &[2, 48], Q4_K, BF16),
            (F16, &[2, 48], Q8_0, F16),
            (BF16, &[256], Q4_K, F32),
            (BF16, &[2, 48], F16, F16),
        ] {
            assert_eq!(
                format(true, &tensor(stored, dims), Some(wanted)),
                expected,
                "{stored} {dims:?} {wanted}"
            );
        }
        assert_eq!(format(true, &tensor(BF16, &[8]), None), F32);
        assert_eq!(format(false, &tensor(BF16, &[8]), None), BF16);
    }
}
