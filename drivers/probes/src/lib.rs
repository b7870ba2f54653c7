//! Finds devices and reads their health.
//!
//! A probe asks one source. Its `load.rs` opens the source, its `sys.rs` turns the source's own words into values, its
//! `probe.rs` makes devices of them. A missing library is an empty report; a part that fails costs its own facts.
//!
//! Invariant: no probe links a vendor's library, knows another probe, or changes a device.

pub mod cpu;
mod inventory;
pub mod vulkan;

use mains_contract::Probe;

pub use inventory::{Answer, inventory};

/// Every probe, the CPU's first.
#[must_use]
pub fn all() -> Vec<Box<dyn Probe + Send>> {
    vec![
        Box::new(cpu::CpuProbe::default()),
        Box::new(vulkan::VulkanProbe::default()),
    ]
}
