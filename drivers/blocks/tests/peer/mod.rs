//! The tensors and errors that `make.py` writes, and our errors on them.

use std::fs;
use std::path::Path;

use mains_blocks::{BlockFormat, dequantize, quantize_weighted};

/// Squared errors of one format on one tensor.
#[derive(Debug)]
pub(crate) struct Compared {
    /// The tensor's name.
    pub(crate) tensor: String,
    /// The format.
    pub(crate) format: BlockFormat,
    /// Without importance: ours and the peer's.
    pub(crate) plain: (f64, f64),
    /// Weighted by the importance that both were given: ours and the peer's.
    pub(crate) weighted: (f64, f64),
}

/// Quantizes every tensor of `folder` to every format that its `errors.txt` names.
///
/// # Panics
/// When the folder is not as `make.py` writes it.
pub(crate) fn compare(folder: &Path) -> Vec<Compared> {
    let listing = fs::read_to_string(folder.join("errors.txt")).expect("errors.txt, which make.py writes");
    listing.lines().map(|line| compare_line(folder, line)).collect()
}

fn compare_line(folder: &Path, line: &str) -> Compared {
    let fields: Vec<&str> = line.split(' ').collect();
    let [tensor, columns, format, plain, weighted] = fields[..] else {
        panic!("{line}: not five fields");
    };
    let columns: usize = columns.parse().expect("a count of columns");
    let format = BlockFormat::from_name(format).expect("a format of ours");
    let numbers = floats(&folder.join(format!("{tensor}.f32")));
    let importance = floats(&folder.join(format!("{tensor}.importance")));
    assert_eq!(importance.len(), columns, "{line}");
    let peers = |text: &str| text.parse().expect("an error");
    Compared {
        tensor: tensor.to_owned(),
        format,
        plain: (error(format, &numbers, None, &vec![1.0; columns]), peers(plain)),
        weighted: (
            error(format, &numbers, Some(&importance), &importance),
            peers(weighted),
        ),
    }
}

fn error(format: BlockFormat, numbers: &[f32], importance: Option<&[f32]>, weights: &[f32]) -> f64 {
    let mut bytes = vec![0; format.row_bytes(numbers.len()).expect("rows of whole blocks")];
    quantize_weighted(format, numbers, importance, &mut bytes).expect("numbers in range");
    let mut back = vec![0.0; numbers.len()];
    dequantize(format, &bytes, &mut back).expect("as many numbers");
    let terms = back.iter().zip(numbers).zip(weights.iter().cycle());
    terms
        .map(|((back, number), weight)| f64::from(*weight) * (f64::from(*back) - f64::from(*number)).powi(2))
        .sum()
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|raw| f32::from_le_bytes(*raw))
        .collect()
}
