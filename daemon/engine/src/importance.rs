//! What an error in a matrix costs, by what flows into it: the mean square of each column's input, and the mean products of two
//! columns' inputs where those were measured.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use mains_blocks::{BlockError, BlockFormat, Factor, dequantize, quantize_weighted, quantize_with_feedback};
use mains_formats::{Gguf, Reason};

/// The suffix of sums of squares in an importance file.
const SUMS: &str = ".in_sum2";
/// The suffix of how many rows each sum is of.
const COUNTS: &str = ".counts";
/// The suffix of mean products in an importance file; other programs pass over them.
pub const MOMENTS: &str = ".in_moments";
/// The key of how many columns a run of moments has.
pub const MOMENTS_WIDTH: &str = "mains.moments.width";

/// Mean squares of the inputs of matrices, by the matrices' GGUF names: one number a column, and as many rows as a stack
/// has experts or one for all of them.
#[derive(Debug, Clone, Default)]
pub struct Importance {
    columns: BTreeMap<String, (usize, Vec<f32>)>,
    moments: Moments,
}

/// Mean products of the inputs of two columns, for runs of neighbouring columns: a run's are (columns, columns), and those of a
/// matrix lie one after the other.
#[derive(Debug, Clone, Default)]
struct Moments {
    /// Columns of a run; the last one of a matrix may have fewer.
    width: usize,
    /// By matrix; matrices with the same inputs share them.
    held: BTreeMap<String, Arc<[f32]>>,
    /// A file that has more of them: they may be larger than memory should be.
    file: Option<Arc<Gguf>>,
}

impl Importance {
    /// Of these matrices: how many rows each has, and the rows one after the other.
    #[must_use]
    pub const fn new(columns: BTreeMap<String, (usize, Vec<f32>)>) -> Self {
        Self {
            columns,
            moments: Moments {
                width: 0,
                held: BTreeMap::new(),
                file: None,
            },
        }
    }

    /// The same with mean products of inputs by matrix, in runs of `width` columns: a run's are (columns, columns), the last
    /// run of a matrix may have fewer columns than the others, and runs lie one after the other.
    #[must_use]
    pub fn with_moments(self, width: usize, held: BTreeMap<String, Arc<[f32]>>) -> Self {
        let file = None;
        Self {
            moments: Moments { width, held, file },
            ..self
        }
    }

    /// Reads an importance file as llama.cpp writes it (`tools/imatrix`): a GGUF file with the tensors `NAME.in_sum2`, a
    /// row an expert, and `NAME.counts`. Where `mains-worker importance` wrote it, moments stay in the mapped file until they are
    /// asked for.
    ///
    /// # Errors
    /// [`Reason`] names the tensor that is missing or does not fit; a file without any is no importance file.
    pub fn from_gguf(gguf: Arc<Gguf>) -> Result<Self, Reason> {
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
        let width = gguf.metadata().find::<u32>(MOMENTS_WIDTH);
        let width = width.map_err(|error| Reason::tensor(MOMENTS_WIDTH, error.to_string()))?;
        let moments = Moments {
            width: width.and_then(|width| usize::try_from(width).ok()).unwrap_or(0),
            held: BTreeMap::new(),
            file: Some(gguf),
        };
        Ok(Self { columns, moments })
    }

    /// Of the matrix called `name` in GGUF.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&[f32]> {
        self.columns.get(name).map(|(_, columns)| columns.as_slice())
    }

    /// How to quantize the matrix called `name`, of rows of `cols` numbers.
    ///
    /// # Errors
    /// [`MomentsError`] when it has moments of other rows, or some that no inputs can have.
    pub fn weighting(&self, name: &str, cols: usize) -> Result<Weighting<'_>, MomentsError> {
        Ok(Weighting {
            columns: self.of(name).filter(|columns| !columns.is_empty()),
            factors: self.factors(name, cols)?,
            cols,
        })
    }

    /// None where no moments were measured, or nothing flowed into a run of columns.
    fn factors(&self, name: &str, cols: usize) -> Result<Vec<Factor>, MomentsError> {
        let refuse = |reason| MomentsError {
            name: name.to_owned(),
            reason,
        };
        let Some(cells) = self.moments.of(name).map_err(refuse)? else {
            return Ok(Vec::new());
        };
        let width = self.moments.width.max(1);
        let runs = (0..cols).step_by(width).map(|first| width.min(cols - first));
        let expected = runs.clone().map(|columns| columns * columns).sum::<usize>();
        if cells.len() != expected {
            return Err(refuse("are of rows of another length"));
        }
        let mut rest = &*cells;
        let mut factors = Vec::new();
        for columns in runs {
            let (run, after) = rest.split_at(columns * columns);
            if run.iter().all(|moment| *moment == 0.0) {
                return Ok(Vec::new());
            }
            factors.push(Factor::new(columns, run).ok_or_else(|| refuse("are none of any inputs"))?);
            rest = after;
        }
        Ok(factors)
    }

    /// Columns of a run of moments, and every matrix's that are held in memory.
    pub fn moments(&self) -> (usize, impl Iterator<Item = (&str, &[f32])>) {
        let held = self.moments.held.iter();
        (
            self.moments.width,
            held.map(|(name, cells)| (name.as_str(), &**cells)),
        )
    }

    /// Matrices that have one, with the number of rows of theirs and the rows.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize, &[f32])> {
        self.columns
            .iter()
            .map(|(name, (rows, columns))| (name.as_str(), *rows, columns.as_slice()))
    }
}

/// Moments that do not suit a matrix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the moments of {name} {reason}; measure the importance with this model")]
pub struct MomentsError {
    /// The matrix's name in GGUF.
    pub name: String,
    /// What is wrong with them.
    pub reason: &'static str,
}

impl Moments {
    /// Of a matrix, where there are any.
    fn of(&self, name: &str) -> Result<Option<Cow<'_, [f32]>>, &'static str> {
        if let Some(cells) = self.held.get(name) {
            return Ok(Some(Cow::Borrowed(cells)));
        }
        let in_file = self
            .file
            .as_ref()
            .and_then(|file| file.find(&format!("{name}{MOMENTS}")));
        let Some(tensor) = in_file else {
            return Ok(None);
        };
        let mut cells = vec![0.0; tensor.rows * tensor.cols];
        let read = dequantize(tensor.format, tensor.bytes, &mut cells);
        read.map_err(|_| "can not be read")?;
        Ok(Some(Cow::Owned(cells)))
    }
}

/// How to quantize one matrix, or a stack of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weighting<'a> {
    columns: Option<&'a [f32]>,
    factors: Vec<Factor>,
    cols: usize,
}

impl<'a> Weighting<'a> {
    /// The importance of columns: a row, or one for each matrix of a stack.
    #[must_use]
    pub const fn columns(&self) -> Option<&[f32]> {
        self.columns
    }

    /// The factored moments, empty where none were measured.
    #[must_use]
    pub fn factors(&self) -> &[Factor] {
        &self.factors
    }

    /// Matrices of the stack, as far as the importance tells.
    #[must_use]
    pub fn matrices(&self) -> usize {
        let rows = self.columns.map_or(1, |columns| columns.len() / self.cols.max(1));
        rows.max(1)
    }

    /// Writes rows of the stack's `matrix` to `out` in `format`: with error feedback where moments were measured, or else by the
    /// importance of columns, or else with all columns alike.
    ///
    /// # Errors
    /// [`BlockError`] when a number does not fit the format, or `out` or the importance the rows.
    pub fn quantize(
        &self,
        format: BlockFormat,
        numbers: &[f32],
        matrix: usize,
        out: &mut [u8],
    ) -> Result<(), BlockError> {
        let suits = |factor: &Factor| factor.columns().is_multiple_of(format.block_len());
        if !self.factors.is_empty() && self.factors.iter().all(suits) {
            return quantize_with_feedback(format, numbers, &self.factors, out);
        }
        let columns = self.columns.filter(|_| format.is_quantized());
        let own = |columns: &'a [f32]| columns.get(matrix * self.cols..(matrix + 1) * self.cols);
        quantize_weighted(format, numbers, columns.and_then(own), out)
    }
}
