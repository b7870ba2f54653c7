//! The CPU driver: AVX-512, AVX2 and portable kernels picked at run time.
//!
//! Every kernel is written once over `simd::Simd`, 16 lanes of float32 whose primitives give the same bits on every
//! instruction set: multiply-adds are fused, sums run over the 16 lanes in order of the columns and end in one fixed
//! tree, int8 products are exact in a sub-block of weights. So a result depends neither on the instruction set, nor on the number of threads, nor
//! on the other rows of a step.
//!
//! - `driver` is the contract, `plan` turns a graph into places and bytes, `load` finds packed weights or fills an
//!   arena with them, `arrange` has their layouts by id
//! - `run` interprets the nodes of a step and shares the work of each over `pool`
//! - `kernels` computes, products with quantized weights in `kernels::packed`; `isa` enters it with the right instructions
//!
//! Invariant: `unsafe` is for intrinsics (`simd`, `isa`), for the borrow that `pool` lends to its workers, and for
//! the disjoint parts of an output that they write (`disjoint`); nowhere else.

mod arena;
mod arrange;
mod disjoint;
mod driver;
mod isa;
mod kernels;
mod load;
mod plan;
mod pool;
mod run;
mod simd;
mod state;

pub use driver::{CpuDriver, CpuOptions, CpuOptionsError};
pub use isa::Isa;
