//! `y = x W^T (+ b)` over some of the outputs of matrices in float formats.

use std::ops::Range;

use bytemuck::cast_slice;
use half::{bf16, f16};
use mains_contract::BlockFormat;

use super::items::{Items, Sink};
use super::number::Number;
use super::plain::products;
use crate::isa::Kernel;
use crate::simd::Simd;

/// Rows of activations that pass over one tile of outputs before the next: as many as stay in a second-level cache of
/// 1 MiB at 4096 numbers a row, so that weights come from memory once for all of them.
const ROW_BLOCK: usize = 64;
/// Outputs that are computed together: their weights are the streams that are read at a time.
const TILE: usize = 4;

/// Activations as they are: parts of rows.
#[derive(Clone, Copy)]
pub(crate) struct PlainRows<'a> {
    pub(crate) numbers: &'a [f32],
    /// Distance between rows.
    pub(crate) stride: usize,
    /// Equal parts of a row.
    pub(crate) parts: usize,
    /// Numbers of a part.
    pub(crate) cols: usize,
}

impl<'a> PlainRows<'a> {
    #[inline(always)]
    pub(crate) fn part(&self, index: usize) -> &'a [f32] {
        let start = index / self.parts * self.stride + index % self.parts * self.cols;
        &self.numbers[start..][..self.cols]
    }
}

/// One thread's part of a product.
pub(crate) struct PlainProduct<'a> {
    pub(crate) format: BlockFormat,
    pub(crate) bytes: &'a [u8],
    pub(crate) x: PlainRows<'a>,
    pub(crate) items: Items<'a>,
    pub(crate) outputs: Range<usize>,
    pub(crate) sink: Sink<'a>,
}

impl Kernel for PlainProduct<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        match self.format {
            BlockFormat::F32 => self.sweep::<S, f32>(cast_slice(self.bytes)),
            BlockFormat::F16 => self.sweep::<S, f16>(cast_slice(self.bytes)),
            BlockFormat::BF16 => self.sweep::<S, bf16>(cast_slice(self.bytes)),
            other => unreachable!("weights in {other} are packed"),
        }
    }
}

impl PlainProduct<'_> {
    #[inline(always)]
    fn sweep<S: Simd, T: Number>(&self, weights: &[T]) {
        let rows = self.items.len();
        for block in (0..rows).step_by(ROW_BLOCK) {
            let block = block..rows.min(block + ROW_BLOCK);
            let mut output = self.outputs.start;
            while output + TILE <= self.outputs.end {
                self.group::<S, T>(weights, block.clone(), output);
                output += TILE;
            }
            while output < self.outputs.end {
                for row in block.clone() {
                    self.tile::<S, T, 1, 1>(weights, row, output);
                }
                output += 1;
            }
        }
    }

    /// One tile of outputs for all of `rows`.
    #[inline(always)]
    fn group<S: Simd, T: Number>(&self, weights: &[T], rows: Range<usize>, output: usize) {
        let mut row = rows.start;
        if S::WIDE {
            while row + 4 <= rows.end {
                self.tile::<S, T, 4, TILE>(weights, row, output);
                row += 4;
            }
            while row + 2 <= rows.end {
                self.tile::<S, T, 2, TILE>(weights, row, output);
                row += 2;
            }
        } else {
            while row + 2 <= rows.end {
                self.tile::<S, T, 2, 2>(weights, row, output);
                self.tile::<S, T, 2, 2>(weights, row, output + 2);
                row += 2;
            }
        }
        while row < rows.end {
            self.tile::<S, T, 1, TILE>(weights, row, output);
            row += 1;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, T: Number, const R: usize, const O: usize>(
        &self,
        weights: &[T],
        row: usize,
        output: usize,
    ) {
        let mut x: [&[f32]; R] = [&[]; R];
        let mut starts = [0; R];
        for at in 0..R {
            let item = self.items.at(row + at);
            (x[at], starts[at]) = (self.x.part(item.x), item.out);
        }
        let products = products::<S, T, R, O>(x, &weights[output * self.x.cols..], self.x.cols);
        for at in 0..R {
            self.sink.put(starts[at], output, &products[at]);
        }
    }
}
