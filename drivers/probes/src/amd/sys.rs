//! Files of the driver `amdgpu` (`Documentation/gpu/amdgpu/driver-misc.rst`, `thermal.rst`).

use crate::library::facts::Fact;
use crate::library::layout::{CENTI, MICRO, MILLI, ONE};
use crate::sysfs::FileFact;

/// Beside the PCI function. GTT is the host's memory that the device maps.
pub(super) const FILES: &[FileFact] = &[
    ("mem_info_vram_total", Fact::MemoryTotal, ONE),
    ("mem_info_vram_used", Fact::MemoryUsed, ONE),
    ("mem_info_gtt_total", Fact::HostTotal, ONE),
    ("mem_info_gtt_used", Fact::HostUsed, ONE),
    ("gpu_busy_percent", Fact::Utilization, CENTI),
];

/// In its sensors' folder. A kernel has one of the two names of the power.
pub(super) const SENSORS: &[FileFact] = &[
    ("temp1_input", Fact::Temperature, MILLI),
    ("power1_average", Fact::Power, MICRO),
    ("power1_input", Fact::Power, MICRO),
    (POWER_CAP, Fact::PowerLimit, MICRO),
];

/// The sensor that integrated devices lack: their power is the processor's.
pub(super) const POWER_CAP: &str = "power1_cap";

/// What no public source settles.
pub(super) const UNVERIFIED: &str =
    "whether an AMD device without a power cap is integrated, and the file that its power is in";
