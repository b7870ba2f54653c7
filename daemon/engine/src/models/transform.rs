//! What is done to a tensor between the files and the graph. All of it is lossless, and exporting undoes it.

use mains_blocks::{BlockError, BlockFormat, dequantize};

use super::value_heads::HeadOrder;

/// How a tensor of one form of files differs from the graph's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Transform {
    /// In nothing.
    #[default]
    AsIs,
    /// Hugging Face files keep a norm's gain without the 1 that is added to it.
    PlusOne,
    /// GGUF keeps the rows of each head so that the numbers that rotate together are neighbours: row `2i + half` is
    /// what other files have as row `half * head_dim / 2 + i` (llama.cpp's converter, `LlamaModel.permute`).
    NeighboursInGguf,
    /// Hugging Face files keep each matrix with a row an input.
    Transposed,
    /// The same, and the graph's rows are the columns 0, 2, 4 and so on.
    EvenTransposed,
    /// The same with the columns 1, 3, 5 and so on.
    OddTransposed,
    /// In Hugging Face files the graph's columns are 0, 2, 4 and so on.
    Even,
    /// The same with 1, 3, 5 and so on.
    Odd,
    /// Hugging Face files keep the logarithm of what is negated here.
    NegativeExponential,
    /// Hugging Face files keep more rows: the last ones are the graph's.
    LastRows,
    /// Hugging Face files keep each head's keys and values one below the other: its keys, rows and columns exchanged.
    LatentKeys,
    /// The same for its values, as they are.
    LatentValues,
    /// Hugging Face files keep heads of linear attention in this other order.
    ValueHeads(HeadOrder),
}

/// A tensor's numbers on the way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) format: BlockFormat,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl Transform {
    /// Whether a tensor of files of this form has to be changed to be the graph's.
    pub(super) const fn changes(self, is_gguf: bool) -> bool {
        match self {
            Self::AsIs => false,
            Self::PlusOne
            | Self::Transposed
            | Self::EvenTransposed
            | Self::OddTransposed
            | Self::Even
            | Self::Odd
            | Self::NegativeExponential
            | Self::LastRows
            | Self::LatentKeys
            | Self::LatentValues
            | Self::ValueHeads(_) => !is_gguf,
            Self::NeighboursInGguf => is_gguf,
        }
    }

    /// The format of the graph's tensor, when files have it in `stored`.
    pub(super) const fn format(self, is_gguf: bool, stored: BlockFormat) -> BlockFormat {
        match self {
            Self::PlusOne | Self::NegativeExponential | Self::ValueHeads(HeadOrder::Decays) if !is_gguf => {
                BlockFormat::F32
            }
            _ => stored,
        }
    }

    /// Whether it treats each matrix of a stack by itself, rather than each head.
    pub(super) const fn is_of_matrices(self) -> bool {
        self.columns().is_some()
    }

    /// Whether the graph's tensor is cut from a larger one, or one of another arrangement.
    pub(super) const fn cuts(self, is_gguf: bool) -> bool {
        !is_gguf
            && matches!(
                self,
                Self::LastRows | Self::LatentKeys | Self::LatentValues | Self::ValueHeads(_)
            )
    }

    /// First column that is taken and how far it is to the next, and whether columns become rows.
    const fn columns(self) -> Option<(usize, usize, bool)> {
        match self {
            Self::Transposed => Some((0, 1, true)),
            Self::EvenTransposed => Some((0, 2, true)),
            Self::OddTransposed => Some((1, 2, true)),
            Self::Even => Some((0, 2, false)),
            Self::Odd => Some((1, 2, false)),
            _ => None,
        }
    }

    /// The shape of the graph's tensor, when files have `stored` made of matrices of `unit` rows.
    pub(super) const fn shape(self, is_gguf: bool, stored: Shape, unit: usize) -> Shape {
        let format = self.format(is_gguf, stored.format);
        let (rows, cols) = match self.columns() {
            Some((_, step, true)) if !is_gguf => (stored.rows / unit * (stored.cols / step), unit),
            Some((_, step, false)) if !is_gguf => (stored.rows, stored.cols / step),
            _ => (stored.rows, stored.cols),
        };
        Shape { format, rows, cols }
    }

    /// The graph's tensor, in the format that [`Transform::format`] tells. Heads, or matrices of a stack,
    /// are `unit` rows.
    pub(super) fn load(
        self,
        is_gguf: bool,
        shape: Shape,
        unit: usize,
        bytes: &[u8],
    ) -> Result<Vec<u8>, BlockError> {
        if let Some(columns) = self.columns().filter(|_| !is_gguf) {
            return picked(shape, unit, bytes, columns);
        }
        match self {
            Self::PlusOne if !is_gguf => mapped(shape, bytes, |number| number + 1.0),
            Self::NegativeExponential | Self::ValueHeads(HeadOrder::Decays) if !is_gguf => {
                mapped(shape, bytes, |number| -number.exp())
            }
            Self::NeighboursInGguf if is_gguf => {
                let half = unit / 2;
                Ok(permuted(shape, unit, bytes, |row| 2 * (row % half) + row / half))
            }
            _ => Ok(bytes.to_vec()),
        }
    }

    /// GGUF's tensor, from the graph's.
    pub(super) fn export(self, shape: Shape, head_dim: usize, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::NeighboursInGguf => {
                let half = head_dim / 2;
                permuted(shape, head_dim, &bytes, |row| row % 2 * half + row / 2)
            }
            _ => bytes,
        }
    }
}

fn mapped(shape: Shape, bytes: &[u8], change: impl Fn(f32) -> f32) -> Result<Vec<u8>, BlockError> {
    let mut numbers = vec![0.0; shape.rows * shape.cols];
    dequantize(shape.format, bytes, &mut numbers)?;
    Ok(numbers
        .iter()
        .flat_map(|number| change(*number).to_le_bytes())
        .collect())
}

/// Some columns of matrices of `unit` rows, as columns or as rows.
fn picked(
    shape: Shape,
    unit: usize,
    bytes: &[u8],
    (first, step, transposed): (usize, usize, bool),
) -> Result<Vec<u8>, BlockError> {
    let format = shape.format;
    let number = format
        .row_bytes(1)
        .ok_or(BlockError::PartialBlock { format, numbers: 1 })?;
    let at = |row: usize, col: usize| {
        let start = (row * shape.cols + col) * number;
        &bytes[start..start + number]
    };
    let mut out = Vec::with_capacity(bytes.len() / step);
    for start in (0..shape.rows).step_by(unit) {
        let columns = || (first..shape.cols).step_by(step);
        let rows = || start..start + unit;
        if transposed {
            columns().for_each(|col| rows().for_each(|row| out.extend_from_slice(at(row, col))));
        } else {
            rows().for_each(|row| columns().for_each(|col| out.extend_from_slice(at(row, col))));
        }
    }
    Ok(out)
}

/// The rows of each head in another order: row `i` of the result is row `source(i)`. A vector has one number a row.
fn permuted(shape: Shape, head_dim: usize, bytes: &[u8], source: impl Fn(usize) -> usize) -> Vec<u8> {
    let rows = if shape.rows == 1 { shape.cols } else { shape.rows };
    let row_bytes = bytes.len() / rows.max(1);
    let row = |row: usize| {
        let (head, within) = (row / head_dim * head_dim, row % head_dim);
        let start = (head + source(within)) * row_bytes;
        &bytes[start..start + row_bytes]
    };
    (0..rows / head_dim * head_dim).flat_map(row).copied().collect()
}

#[cfg(test)]
mod tests {
    use mains_blocks::BlockFormat;

    use super::{Shape, Transform};

    const VECTOR: Shape = Shape {
        format: BlockFormat::F32,
        rows: 1,
        cols: 8,
    };

    #[test]
    fn rows_of_heads_come_back_in_order() {
        let shape = Shape {
            format: BlockFormat::Q8_0,
            rows: 8,
            cols: 32,
        };
        let bytes: Vec<u8> = (0..8u8).flat_map(|row| [row; 34]).collect();
        let transform = Transform::NeighboursInGguf;
        let gguf = transform.export(shape, 4, bytes.clone());
        let rows: Vec<u8> = gguf.iter().step_by(34).copied().collect();
        assert_eq!(rows, [0, 2, 1, 3, 4, 6, 5, 7]);
        assert_eq!(transform.load(true, shape, 4, &gguf).unwrap(), bytes);
        assert_eq!(transform.load(false, shape, 4, &bytes).unwrap(), bytes);
    }

    #[test]
    fn one_is_added_to_gains_of_folders_alone() {
        let bytes: Vec<u8> = (0..8u8)
            .flat_map(|number| f32::from(number).to_le_bytes())
            .collect();
        let loaded = Transform::PlusOne.load(false, VECTOR, 4, &bytes).unwrap();
        assert_eq!(loaded[28..], 8.0f32.to_le_bytes());
        assert_eq!(Transform::PlusOne.load(true, VECTOR, 4, &bytes).unwrap(), bytes);
    }
}
