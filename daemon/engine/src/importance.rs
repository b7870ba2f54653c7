//! What an error in each column of a matrix costs: the mean square of what flows into it.

use std::collections::BTreeMap;

use mains_blocks::dequantize;
use mains_formats::{Gguf, Reason};

/// The suffix of sums of squares in an importance file.
const SUMS: &str = ".in_sum2";
/// The suffix of how many rows each sum is of.
const COUNTS: &str = ".counts";

/// Mean squares of the inputs of matrices, by the matrices' GGUF names: one number a column, and as many rows as a stack
/// has experts or one for all of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Importance {
    columns: BTreeMap<String, (usize, Vec<f32>)>,
}

impl Importance {
    /// Of these matrices: how many rows each has, and the rows one after the other.
    #[must_use]
    pub const fn new(columns: BTreeMap<String, (usize, Vec<f32>)>) -> Self {
        Self { columns }
    }

    /// Reads an importance file as llama.cpp writes it (`tools/imatrix`): a GGUF file with the tensors `NAME.in_sum2`, a
    /// row an expert, and `NAME.counts`.
    ///
    /// # Errors
    /// [`Reason`] names the tensor that is missing or does not fit; a file without any is no importance file.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, Reason> {
        let mut columns = BTreeMap::new();
        for tensor in gguf.tensors() {
            let Some(name) = tensor.name.strip_suffix(SUMS) else {
                continue;
            };
            let Some(counts) = gguf.find(&format!("{name}{COUNTS}")) else {
                return Err(Reason::tensor(name, "it has sums but no counts"));
            };
            let numbers = |tensor: &mains_formats::Tensor<'_>| {
                let mut numbers = vec![0.0; tensor.rows * tensor.cols];
                let read = dequantize(tensor.format, tensor.bytes, &mut numbers);
                read.map(|()| numbers)
                    .map_err(|error| Reason::tensor(tensor.name, error.to_string()))
            };
            let (mut sums, counts) = (numbers(&tensor)?, numbers(&counts)?);
            let cols = tensor.cols.max(1);
            if counts.len() * cols != sums.len() {
                return Err(Reason::tensor(
                    name,
                    "it has another number of counts than rows of sums",
                ));
            }
            for (row, count) in sums.chunks_exact_mut(cols).zip(&counts) {
                // An expert that nothing was routed to has no importance.
                let per = if *count > 0.0 { 1.0 / count } else { 0.0 };
                row.iter_mut().for_each(|sum| *sum *= per);
            }
            columns.insert(name.to_owned(), (counts.len(), sums));
        }
        if columns.is_empty() {
            let reason = "there is none: importance files have tensors called NAME.in_sum2";
            return Err(Reason::tensor(SUMS, reason));
        }
        Ok(Self { columns })
    }

    /// Of the matrix called `name` in GGUF.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&[f32]> {
        self.columns.get(name).map(|(_, columns)| columns.as_slice())
    }

    /// Matrices that have one, with the number of rows of theirs and the rows.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize, &[f32])> {
        self.columns
            .iter()
            .map(|(name, (rows, columns))| (name.as_str(), *rows, columns.as_slice()))
    }
}
