//! Tensors that Hugging Face files keep with more rows, or in another arrangement, than the graph declares.

use mains_blocks::BlockFormat;

use super::transform::{Shape, Transform};
use super::value_heads::HeadOrder;
use crate::blocks::GatedDelta;

/// Where the graph's tensor is in what files keep.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// What files keep.
    pub(super) stored: Shape,
    /// Rows and columns that the graph declares.
    pub(super) declared: [usize; 2],
    /// Query heads.
    pub(super) heads: usize,
    /// Heads of linear attention.
    pub(super) delta: Option<GatedDelta>,
}

impl Cut {
    /// Rows that a head has in the files.
    fn head_rows(&self) -> usize {
        self.stored.rows / self.heads.max(1)
    }

    /// Whether the declared tensor can be in what is stored.
    pub(super) fn fits(&self, transform: Transform) -> bool {
        let [rows, cols] = self.declared;
        if let Transform::ValueHeads(order) = transform {
            return self.delta.is_some_and(|delta| self.fits_heads(order, &delta));
        }
        let by_head = self.stored.rows.is_multiple_of(self.heads.max(1));
        match transform {
            Transform::LatentKeys => {
                by_head && rows == self.heads * self.stored.cols && cols <= self.head_rows()
            }
            Transform::LatentValues => {
                by_head
                    && cols == self.stored.cols
                    && rows <= self.stored.rows
                    && rows.is_multiple_of(self.heads)
            }
            _ => cols == self.stored.cols && rows <= self.stored.rows,
        }
    }

    fn fits_heads(&self, order: HeadOrder, delta: &GatedDelta) -> bool {
        let stored = [self.stored.rows, self.stored.cols];
        let along = order.along(stored);
        let taken = order.sources(delta).len();
        stored[along] == order.stored(delta)
            && self.declared[along] == taken
            && self.declared[1 - along] == stored[1 - along]
    }

    /// The graph's tensor; it fits.
    pub(super) fn bytes(&self, transform: Transform, stored: &[u8]) -> Vec<u8> {
        match (transform, &self.delta) {
            (Transform::ValueHeads(order), Some(delta)) => self.reordered(order, delta, stored),
            _ => self.taken(transform, stored),
        }
    }

    /// Rows, numbers of a vector or columns in the order of the graph.
    fn reordered(&self, order: HeadOrder, delta: &GatedDelta, stored: &[u8]) -> Vec<u8> {
        let sources = order.sources(delta);
        let shape = [self.stored.rows, self.stored.cols];
        // What is moved as one: a row, or a number of each row.
        let (lines, pieces) = match order.along(shape) {
            0 => (1, shape[0]),
            _ => (shape[0], shape[1]),
        };
        let piece = stored.len() / (lines * pieces).max(1);
        let lines = stored.chunks_exact((pieces * piece).max(1));
        let in_order = lines.flat_map(|line| sources.iter().map(|at| &line[at * piece..][..piece]));
        in_order.flatten().copied().collect()
    }

    fn taken(&self, transform: Transform, stored: &[u8]) -> Vec<u8> {
        match transform {
            Transform::LatentKeys => self.keys(stored),
            Transform::LatentValues => {
                let row_bytes = stored.len() / self.stored.rows.max(1);
                let of_head = self.head_rows() * row_bytes;
                let values = self.declared[0] / self.heads.max(1) * row_bytes;
                let heads = stored.chunks_exact(of_head.max(1));
                heads
                    .flat_map(|head| &head[of_head - values..])
                    .copied()
                    .collect()
            }
            _ => {
                let kept = stored.len() / self.stored.rows.max(1) * self.declared[0];
                stored[stored.len() - kept..].to_vec()
            }
        }
    }

    /// The first rows of each head as columns.
    fn keys(&self, stored: &[u8]) -> Vec<u8> {
        let number = stored.len() / (self.stored.rows * self.stored.cols).max(1);
        let mut bytes = Vec::with_capacity(number * self.declared[0] * self.declared[1]);
        for head in 0..self.heads {
            for col in 0..self.stored.cols {
                for row in 0..self.declared[1] {
                    let start = ((head * self.head_rows() + row) * self.stored.cols + col) * number;
                    bytes.extend_from_slice(&stored[start..start + number]);
                }
            }
        }
        bytes
    }
}

/// Whether numbers of this format can be moved one by one.
pub(super) fn is_by_number(format: BlockFormat) -> bool {
    format.block_len() == 1
}

#[cfg(test)]
mod tests {
    use mains_blocks::BlockFormat;

    use super::{Cut, Shape, Transform};

    /// Two heads of two key rows and one value row.
    const LATENT: Shape = Shape {
        format: BlockFormat::F32,
        rows: 6,
        cols: 3,
    };

    fn cut(declared: [usize; 2], transform: Transform) -> Vec<u8> {
        let stored: Vec<u8> = (0..18u8).flat_map(|number| [number; 4]).collect();
        let cut = Cut {
            stored: LATENT,
            declared,
            heads: 2,
            delta: None,
        };
        assert!(cut.fits(transform));
        cut.bytes(transform, &stored).into_iter().step_by(4).collect()
    }

    #[test]
    fn keys_are_turned_and_values_are_what_is_left() {
        let keys = cut([6, 2], Transform::LatentKeys);
        assert_eq!(keys, [0, 3, 1, 4, 2, 5, 9, 12, 10, 13, 11, 14]);
        assert_eq!(cut([2, 3], Transform::LatentValues), [6, 7, 8, 15, 16, 17]);
    }

    #[test]
    fn first_rows_are_left_out() {
        assert_eq!(cut([1, 3], Transform::LastRows), [15, 16, 17]);
    }
}
