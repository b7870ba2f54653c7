//! The drivers, by name. A new driver is one line here.

use std::num::NonZeroUsize;

use anyhow::{Context, Result, bail};
use mains_contract::{BlockFormat, Device, Driver, DriverFacts, Graph, Unsupported};
use mains_driver_cpu::{CpuDriver, CpuOptions};
use mains_driver_null::NullDriver;
use mains_driver_reference::ReferenceDriver;
use mains_wire::frames::BUILD_ID;

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

/// Adds to `device` what a plan has to know of each driver that computes on it.
pub(crate) fn describe(device: &mut Device) -> Result<()> {
    device.drivers.clear();
    for name in device
        .usable_by
        .iter()
        .filter(|name| NAMES.contains(&name.as_str()))
    {
        device.drivers.push(facts(&*open(name, None)?));
    }
    Ok(())
}

/// What `driver` says of itself, in this build.
pub(crate) fn facts(driver: &dyn Driver) -> DriverFacts {
    DriverFacts::new(driver.capabilities(), BUILD_ID)
}

/// Every driver that a family is judged by: all of [`NAMES`], and the one that only lowers graphs.
pub(crate) fn judges() -> Result<Vec<Box<dyn Driver>>> {
    let opened = NAMES.iter().map(|name| open(name, None));
    let null: Box<dyn Driver> = Box::new(NullDriver::new());
    opened.chain([Ok(null)]).collect()
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
