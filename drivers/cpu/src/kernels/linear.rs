//! `y = x W^T (+ b)` over some of the outputs.

use std::ops::Range;

use bytemuck::cast_slice;
use half::{bf16, f16};
use mains_contract::BlockFormat;

use super::plain::PlainTiles;
use super::q4_k::Q4Tiles;
use super::q8_0::Q8Tiles;
use super::quantize::QuantizedRows;
use super::tiles::{Sink, sweep};
use crate::disjoint::Disjoint;
use crate::isa::Kernel;
use crate::load::Matrix;
use crate::simd::Simd;

/// The activations that a matrix is multiplied with.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    /// As they are: for F32, F16 and BF16.
    pub(crate) x: &'a [f32],
    /// Distance between their rows.
    pub(crate) stride: usize,
    /// As int8: for quantized weights.
    pub(crate) quantized: &'a QuantizedRows,
}

/// One thread's part of a product.
pub(crate) struct Linear<'a> {
    pub(crate) matrix: Matrix<'a>,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) input: Input<'a>,
    pub(crate) rows: usize,
    pub(crate) outputs: Range<usize>,
    pub(crate) out: &'a Disjoint<'a, f32>,
    pub(crate) out_stride: usize,
}

impl Kernel for Linear<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Matrix {
            format, cols, bytes, ..
        } = self.matrix;
        let blocks = cols / format.block_len();
        let x = self.input.quantized;
        match format {
            BlockFormat::F32 => self.sweep::<S, _>(&self.plain::<f32>(cast_slice(bytes))),
            BlockFormat::F16 => self.sweep::<S, _>(&self.plain::<f16>(cast_slice(bytes))),
            BlockFormat::BF16 => self.sweep::<S, _>(&self.plain::<bf16>(cast_slice(bytes))),
            BlockFormat::Q8_0 => self.sweep::<S, _>(&Q8Tiles {
                x,
                weights: cast_slice(bytes),
                blocks,
            }),
            BlockFormat::Q4_K => self.sweep::<S, _>(&Q4Tiles {
                x,
                weights: cast_slice(bytes),
                blocks,
            }),
            other => unreachable!("a model with {other} weights is refused when it is loaded"),
        }
    }
}

impl Linear<'_> {
    #[inline(always)]
    fn sweep<S: Simd, T: super::tiles::Tiles>(&self, tiles: &T) {
        let sink = Sink {
            out: self.out,
            stride: self.out_stride,
            bias: self.bias,
        };
        sweep::<S, T>(tiles, self.rows, self.outputs.clone(), &sink);
    }

    #[inline(always)]
    fn plain<'b, T>(&'b self, weights: &'b [T]) -> PlainTiles<'b, T> {
        PlainTiles {
            x: self.input.x,
            x_stride: self.input.stride,
            weights,
            weight_stride: self.matrix.cols,
            cols: self.matrix.cols,
        }
    }
}
