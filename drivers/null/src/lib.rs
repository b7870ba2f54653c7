//! The driver that computes nothing: the proof that the contract and the engine assume no CPU.
//!
//! A graph becomes a list of commands over explicit buffers, as a GPU takes it: uploads, dispatches with all that they
//! read and write, barriers, a download. Values share memory when their lifetimes allow it. [`audit()`] checks such a list
//! the way a validation layer would: nothing is read that was not written, nothing is written while it is still needed,
//! no two dispatches touch the same memory without a barrier between them.
//!
//! Invariant: no memory of the size of a model is ever allocated here. Outputs of a step are zeros.

mod audit;
mod command;
mod driver;
mod lower;
mod memory;

pub use audit::{Hazard, audit};
pub use command::{Access, Buffer, Command, CommandList};
pub use driver::NullDriver;
pub use lower::lower;
