//! The drivers, by name. A new driver is one line here.

use std::num::NonZeroUsize;

use anyhow::{Context, Result, bail};
use mains_contract::{BlockFormat, Driver, Graph, Unsupported};
use mains_driver_cpu::{CpuDriver, CpuOptions};
use mains_driver_reference::ReferenceDriver;

/// Names of all drivers.
pub(crate) const NAMES: [&str; 2] = ["cpu", "reference"];

/// The driver called `name`, computing on `threads` threads; on as many as there are processors when `None`.
pub(crate) fn open(name: &str, threads: Option<NonZeroUsize>) -> Result<Box<dyn Driver>> {
    match name {
        "cpu" => {
            let options = CpuOptions { threads, isa: None };
            Ok(Box::new(CpuDriver::new(options).context("driver cpu")?))
        }
        "reference" => Ok(Box::new(ReferenceDriver::new())),
        _ => bail!("no driver is called {name:?}; there are: {}", NAMES.join(", ")),
    }
}

/// A number of threads as a frame carries it: 0 leaves the choice to the driver.
pub(crate) fn threads(count: u32) -> Option<NonZeroUsize> {
    NonZeroUsize::new(count as usize)
}

/// Whether `driver` can compute every operation of `graph`.
pub(crate) fn check(driver: &dyn Driver, graph: &Graph, formats: &[BlockFormat]) -> Result<(), Unsupported> {
    graph
        .nodes()
        .iter()
        .try_for_each(|node| driver.supports(graph, node, formats))
}
