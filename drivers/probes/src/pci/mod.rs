//! Accelerators as the bus shows them: there, whether or not a driver is loaded.

mod probe;

pub(crate) use probe::Pci;
