//! The kernel's view of AMD's devices.

use std::path::PathBuf;

use mains_contract::{Anew, DeviceKind, Probe, ProbeError, ProbeReport, Watch};

use super::load;
use super::sys::UNVERIFIED;
use crate::places::Places;
use crate::sysfs::SysfsVendor;

/// Devices of the driver `amdgpu`.
pub(crate) struct Amdgpu(PathBuf);

impl Amdgpu {
    /// Looks where `places` says.
    pub(crate) fn new(places: &Places) -> Self {
        Self(places.sysfs().to_owned())
    }
}

const VENDOR: SysfsVendor = SysfsVendor {
    source: "amdgpu",
    maker: "AMD",
    pci: 0x1002,
    kind: |_| DeviceKind::Gpu,
    drivers: &["amdgpu"],
    unverified: &[UNVERIFIED],
};

impl Probe for Amdgpu {
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
