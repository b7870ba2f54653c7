//! The drivers under test.

use std::num::NonZeroUsize;

use mains_contract::Driver;
use mains_driver_cpu::{CpuDriver, CpuOptions, Isa};
use mains_driver_reference::ReferenceDriver;

/// The oracle.
#[must_use]
pub fn reference() -> Box<dyn Driver> {
    Box::new(ReferenceDriver::new())
}

/// The CPU driver with `isa` and `threads`.
///
/// # Panics
/// When this machine lacks `isa`, or `threads` is 0.
#[must_use]
pub fn cpu(isa: Isa, threads: usize) -> Box<dyn Driver> {
    let options = CpuOptions {
        threads: Some(NonZeroUsize::new(threads).expect("a test asks for threads")),
        isa: Some(isa),
    };
    Box::new(CpuDriver::new(options).expect("a test asks for what the machine has"))
}

/// The instruction sets of this machine, portable among them.
#[must_use]
pub fn available() -> Vec<Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect()
}
