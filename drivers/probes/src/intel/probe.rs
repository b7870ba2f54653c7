//! The kernel's view of Intel's graphics.

use std::path::PathBuf;

use mains_contract::{Anew, DeviceKind, Probe, ProbeError, ProbeReport, Watch};

use super::load;
use crate::places::Places;
use crate::sysfs::SysfsVendor;

/// Devices of the drivers `xe` and `i915`.
pub(crate) struct IntelGraphics(PathBuf);

impl IntelGraphics {
    /// Looks where `places` says.
    pub(crate) fn new(places: &Places) -> Self {
        Self(places.sysfs().to_owned())
    }
}

const VENDOR: SysfsVendor = SysfsVendor {
    source: "intel",
    maker: "Intel",
    pci: 0x8086,
    // Graphics within a processor are on its own bus; cards are behind a bridge.
    kind: |entry| match entry.address.bus {
        0 => DeviceKind::IntegratedGpu,
        _ => DeviceKind::Gpu,
    },
    drivers: &["xe", "i915"],
    unverified: &[],
};

impl Probe for IntelGraphics {
    fn source(&self) -> &'static str {
        VENDOR.source
    }

    fn probe(&self) -> Result<ProbeReport, ProbeError> {
        Ok(VENDOR.report(&self.0, load::read))
    }

    fn watch(self: Box<Self>) -> Box<dyn Watch> {
        Box::new(Anew(*self))
    }
}
