//! The naive float32 driver, the oracle of every test.
//!
//! Weights become float32 at load and every operation is a plain loop. Values between operations are float32; sums,
//! exponentials and rotations inside an operation are float64 and rounded once at its end, so that what another driver
//! differs by is that driver's own error. Activations are never quantized here.
//!
//! Invariant: no `unsafe`, no threads, no kernels; nothing here is written for speed that a reader would have to check.

mod allocate;
mod driver;
mod model;
mod ops;
mod run;
mod state;
mod states;
mod values;

pub use driver::ReferenceDriver;
