//! Tensors: which format each gets, and their numbers in it.

use std::collections::BTreeSet;

use mains_blocks::BlockFormat;
use mains_formats::{Tensor, TensorSpec};

use super::{ConvertError, ConvertOptions};
use crate::models::checkpoint::ALL_ROPE_FACTORS;
use crate::models::family::Part;
use crate::models::{Checkpoint, Model};

/// A tensor of the new file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    /// Columns, and the format before.
    pub(super) shape: (usize, BlockFormat),
    /// Numbers that are no weight of the model.
    pub(super) numbers: Option<Vec<f32>>,
    pub(super) spec: TensorSpec,
}

/// Every tensor that the model uses, in the order of its files; experts are one tensor.
///
/// # Errors
/// [`ConvertError::NoSuchTensor`] when the options name one that is not there.
pub(super) fn plan(
    checkpoint: &Checkpoint,
    model: &Model,
    options: &ConvertOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<Planned>, ConvertError> {
    if let Some(name) = options
        .formats
        .keys()
        .find(|name| model.weights.facts(name).is_none())
    {
        return Err(ConvertError::NoSuchTensor { name: name.clone() });
    }
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
                let of_all = options.format.map(|format| of_all(&part.gguf, format));
                let wanted = options.formats.get(&part.gguf).copied().or(of_all);
                planned.push(plan_part(model, &tensor, part, (from_folder, wanted), notes));
            }
        }
    }
    Ok(planned)
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
    if part.gguf.ends_with(CONVOLUTION) {
        dims = vec![rows, cols];
    }
    if let Some(cut) = model.weights.cut_dims(&part.gguf) {
        dims = cut;
    }
    let tensor = Tensor { cols, ..*tensor };
    let is_matrix = is_matrix(&part.gguf, &tensor);
    let format = format(from_folder, &tensor, is_matrix, wanted);
    if let Some(wanted) = wanted.filter(|wanted| is_matrix && *wanted != format) {
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
fn format(
    from_folder: bool,
    tensor: &Tensor<'_>,
    is_matrix: bool,
    wanted: Option<BlockFormat>,
) -> BlockFormat {
    match wanted {
        None if from_folder && !is_matrix => BlockFormat::F32,
        None => tensor.format,
        Some(_) if !is_matrix => BlockFormat::F32,
        Some(wanted) => wanted.suited_to(tensor.cols).unwrap_or(match tensor.format {
            BlockFormat::F16 => BlockFormat::F16,
            _ => BlockFormat::BF16,
        }),
    }
}

/// How the name of a convolution's weights ends. Hugging Face files have a dimension of 1 between channels and kernel.
const CONVOLUTION: &str = ".ssm_conv1d.weight";
/// How the name of a router ends.
const ROUTER: &str = ".ffn_gate_inp.weight";

/// The format of the tensor `gguf` where all are asked for in `format`. A router is small and decides much: it is F32, as in
/// other programs' files, unless a format is asked for it by name.
fn of_all(gguf: &str, format: BlockFormat) -> BlockFormat {
    if gguf.ends_with(ROUTER) {
        BlockFormat::F32
    } else {
        format
    }
}

/// Whether a tensor takes part in products: biases of experts have a dimension more than other vectors, and so have
/// convolutions.
fn is_matrix(gguf: &str, tensor: &Tensor<'_>) -> bool {
    tensor.dims.len() > 1 && !gguf.ends_with(".bias") && !gguf.ends_with(CONVOLUTION)
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

    use super::{format, is_matrix, of_all};

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
                format(true, &tensor(stored, dims), dims.len() > 1, Some(wanted)),
                expected,
                "{stored} {dims:?} {wanted}"
            );
        }
        assert_eq!(format(true, &tensor(BF16, &[8]), false, None), F32);
        assert_eq!(format(false, &tensor(BF16, &[8]), false, None), BF16);
        // The biases of two experts.
        let biases = tensor(BF16, &[2, 32]);
        assert!(!is_matrix("blk.0.ffn_up_exps.bias", &biases) && is_matrix("blk.0.ffn_up.weight", &biases));
        assert!(!is_matrix("blk.0.ssm_conv1d.weight", &biases));
    }

    #[test]
    fn a_router_is_not_quantized_with_the_others() {
        assert_eq!(of_all("blk.0.ffn_gate_inp.weight", Q4_K), F32);
        assert_eq!(of_all("blk.0.ffn_gate.weight", Q4_K), Q4_K);
    }
}
