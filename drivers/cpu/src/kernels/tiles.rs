//! A matrix of dot products, computed in small tiles that reuse what they load.
//!
//! Which tile computes an entry changes nothing about its bits: each entry has accumulators of its own.

use std::ops::Range;

use crate::disjoint::Disjoint;
use crate::simd::Simd;

/// Rows of activations that pass over one group of outputs before the next group: as many as stay in a second-level
/// cache of 1 MiB at 4096 numbers a row, so that weights come from memory once for all of them.
const ROW_BLOCK: usize = 64;
/// Outputs that are computed together: their weights are the streams that are read at a time.
pub(crate) const OUTPUT_GROUP: usize = 4;

/// Dot products of rows with outputs.
pub(crate) trait Tiles {
    /// The products of `R` rows from `row` with `O` outputs from `output`.
    fn tile<S: Simd, const R: usize, const O: usize>(&self, row: usize, output: usize) -> [[f32; O]; R];
}

/// Where products go: `rows x stride` numbers, of which a thread writes its own outputs' columns.
pub(crate) struct Sink<'a> {
    pub(crate) out: &'a Disjoint<'a, f32>,
    pub(crate) stride: usize,
    pub(crate) bias: Option<&'a [f32]>,
}

impl Sink<'_> {
    #[inline(always)]
    fn put<const R: usize, const O: usize>(&self, row: usize, output: usize, products: [[f32; O]; R]) {
        for (at, products) in products.into_iter().enumerate() {
            let start = (row + at) * self.stride + output;
            // SAFETY: a thread has its own range of outputs, so no other one has these columns, and the part is
            // dropped before this thread's next.
            let out = unsafe { self.out.part(start..start + O) };
            for (at, (out, product)) in out.iter_mut().zip(products).enumerate() {
                *out = match self.bias {
                    Some(bias) => product + bias[output + at],
                    None => product,
                };
            }
        }
    }
}

/// Computes `rows` rows of the outputs in `outputs`.
#[inline(always)]
pub(crate) fn sweep<S: Simd, T: Tiles>(tiles: &T, rows: usize, outputs: Range<usize>, sink: &Sink<'_>) {
    let mut block = 0;
    while block < rows {
        let end = (block + ROW_BLOCK).min(rows);
        let mut output = outputs.start;
        while output + OUTPUT_GROUP <= outputs.end {
            group::<S, T>(tiles, block..end, output, sink);
            output += OUTPUT_GROUP;
        }
        while output < outputs.end {
            for row in block..end {
                sink.put(row, output, tiles.tile::<S, 1, 1>(row, output));
            }
            output += 1;
        }
        block = end;
    }
}

/// One group of outputs for all of `rows`.
#[inline(always)]
fn group<S: Simd, T: Tiles>(tiles: &T, rows: Range<usize>, output: usize, sink: &Sink<'_>) {
    let mut row = rows.start;
    if S::WIDE {
        while row + 4 <= rows.end {
            sink.put(row, output, tiles.tile::<S, 4, OUTPUT_GROUP>(row, output));
            row += 4;
        }
        while row + 2 <= rows.end {
            sink.put(row, output, tiles.tile::<S, 2, OUTPUT_GROUP>(row, output));
            row += 2;
        }
    } else {
        while row + 2 <= rows.end {
            sink.put(row, output, tiles.tile::<S, 2, 2>(row, output));
            sink.put(row, output + 2, tiles.tile::<S, 2, 2>(row, output + 2));
            row += 2;
        }
    }
    while row < rows.end {
        sink.put(row, output, tiles.tile::<S, 1, OUTPUT_GROUP>(row, output));
        row += 1;
    }
}
