//! Tensors: which format each gets, and their numbers in it.

use std::io::Write;

use mains_blocks::{BlockFormat, dequantize, quantize};
use mains_formats::{FormatError, Tensor, TensorSpec};

use super::ConvertError;
use crate::models::{Checkpoint, Model};

/// Numbers that are converted at once: enough to make calls cheap, and 4 MiB of float32.
const CHUNK_NUMBERS: usize = 1 << 20;

/// A tensor of the new file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    /// Its name in the files that are converted.
    pub(super) stored_name: String,
    pub(super) spec: TensorSpec,
}

/// Every tensor that the model uses, in the order of its files.
pub(super) fn plan(
    checkpoint: &Checkpoint,
    model: &Model,
    wanted: Option<BlockFormat>,
    notes: &mut Vec<String>,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for tensor in stored_tensors(checkpoint) {
        let name = match checkpoint {
            Checkpoint::Gguf(_) => Some(tensor.name.to_owned()),
            Checkpoint::HuggingFace(_) => model.family.gguf_name(tensor.name),
        };
        let Some(name) = name.filter(|name| model.weights.facts(name).is_some()) else {
            notes.push(format!(
                "{} is left out: the settings have no use for it",
                tensor.name
            ));
            continue;
        };
        let from_folder = matches!(checkpoint, Checkpoint::HuggingFace(_));
        let format = format(from_folder, &tensor, wanted);
        if let Some(wanted) = wanted.filter(|wanted| is_matrix(&tensor) && *wanted != format) {
            notes.push(format!(
                "{name} becomes {format}: its rows of {} are no whole number of {wanted} blocks of {}",
                tensor.cols,
                wanted.block_len()
            ));
        }
        planned.push(Planned {
            stored_name: tensor.name.to_owned(),
            spec: TensorSpec {
                name,
                format,
                dims: tensor.dims.to_vec(),
            },
        });
    }
    planned
}

/// The format of a tensor in the new file. Vectors are F32, as drivers and other programs expect. A matrix whose rows do
/// not suit the format becomes Q8_0 when its rows suit that, or else stays in 16 bits: F16 when it is stored so, BF16
/// otherwise.
fn format(from_folder: bool, tensor: &Tensor<'_>, wanted: Option<BlockFormat>) -> BlockFormat {
    match wanted {
        None if from_folder && !is_matrix(tensor) => BlockFormat::F32,
        None => tensor.format,
        Some(_) if !is_matrix(tensor) => BlockFormat::F32,
        Some(wanted) => {
            let plain = if tensor.format == BlockFormat::F16 {
                BlockFormat::F16
            } else {
                BlockFormat::BF16
            };
            let suits = |format: &BlockFormat| format.row_bytes(tensor.cols).is_some();
            [wanted, BlockFormat::Q8_0]
                .into_iter()
                .find(suits)
                .unwrap_or(plain)
        }
    }
}

pub(super) fn is_matrix(tensor: &Tensor<'_>) -> bool {
    tensor.dims.len() > 1
}

/// Writes a tensor's numbers in its new format.
pub(super) fn write(
    checkpoint: &Checkpoint,
    planned: &Planned,
    out: &mut dyn Write,
) -> Result<(), ConvertError> {
    let tensor = stored(checkpoint, &planned.stored_name)?;
    let (from, to) = (tensor.format, planned.spec.format);
    if from == to {
        return Ok(out.write_all(tensor.bytes)?);
    }
    let whole = "rows were checked against both formats when they were planned";
    let (from_row, to_row) = (
        from.row_bytes(tensor.cols).expect(whole),
        to.row_bytes(tensor.cols).expect(whole),
    );
    let rows = (CHUNK_NUMBERS / tensor.cols).max(1);
    let mut numbers = vec![0.0; rows * tensor.cols];
    let mut bytes = vec![0; rows * to_row];
    for (index, chunk) in tensor.bytes.chunks(rows * from_row).enumerate() {
        let rows_here = chunk.len() / from_row;
        let numbers = &mut numbers[..rows_here * tensor.cols];
        let bytes = &mut bytes[..rows_here * to_row];
        dequantize(from, chunk, numbers)
            .and_then(|()| quantize(to, numbers, bytes))
            .map_err(|source| ConvertError::Tensor {
                name: planned.spec.name.clone(),
                row: index * rows,
                source,
            })?;
        out.write_all(bytes)?;
    }
    Ok(())
}

fn stored<'a>(checkpoint: &'a Checkpoint, name: &str) -> Result<Tensor<'a>, FormatError> {
    match checkpoint {
        Checkpoint::Gguf(gguf) => gguf.tensor(name),
        Checkpoint::HuggingFace(folder) => folder.tensor(name),
    }
}

fn stored_tensors(checkpoint: &Checkpoint) -> Vec<Tensor<'_>> {
    match checkpoint {
        Checkpoint::Gguf(gguf) => gguf.tensors().collect(),
        Checkpoint::HuggingFace(folder) => folder.tensors().collect(),
    }
}

#[cfg(test)]
mod tests {
    use mains_blocks::BlockFormat::{BF16, F16, F32, Q4_K, Q8_0};
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
            (F32, &[2, 96], Q4_K, Q8_0),
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
