//! Files of the drivers `xe` and `i915` (`Documentation/ABI/testing/sysfs-driver-intel-{xe,i915}-hwmon`), and structures
//! of Level Zero (`zes_api.h`).

use crate::library::facts::Fact;
use crate::library::layout::{MICRO, MILLI};
use crate::sysfs::FileFact;

/// In the sensors' folder: the card first, then its package; the first that is there counts.
pub(super) const SENSORS: &[FileFact] = &[
    ("energy1_input", Fact::Energy, MICRO),
    ("energy2_input", Fact::Energy, MICRO),
    ("power1_max", Fact::PowerLimit, MICRO),
    ("power1_rated_max", Fact::PowerLimit, MICRO),
    ("temp1_input", Fact::Temperature, MILLI),
    ("temp2_input", Fact::Temperature, MILLI),
];

/// In `tile<N>` (xe): bytes, slightly more than can be used.
pub(super) const TILE_MEMORY: &str = "physical_vram_size_bytes";

/// In `drm/card<N>` (i915): bytes.
pub(super) const CARD_MEMORY: &str = "lmem_total_bytes";

/// A handle of Level Zero.
pub(super) type Handle = *mut std::ffi::c_void;

/// `zes_pci_properties_t` up to its address; the speed behind it is not read.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct PciProperties {
    pub(super) stype: u32,
    pub(super) next: Handle,
    pub(super) domain: u32,
    pub(super) bus: u32,
    pub(super) device: u32,
    pub(super) function: u32,
}

/// `ZES_STRUCTURE_TYPE_PCI_PROPERTIES`.
pub(super) const PCI_PROPERTIES: u32 = 0x2;

/// `zes_mem_state_t`, bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryState {
    pub(super) stype: u32,
    pub(super) next: Handle,
    pub(super) health: u32,
    pub(super) free: u64,
    pub(super) size: u64,
}

/// `ZES_STRUCTURE_TYPE_MEM_STATE`.
pub(super) const MEMORY_STATE: u32 = 0x1e;

/// `zes_mem_health_t`: degraded, critical, replace. 0 is unknown and 1 is well.
pub(super) const MEMORY_HEALTH: [(u32, &str); 3] = [
    (2, "its memory is degraded: restart the machine"),
    (3, "its memory is critical: restart the machine, then watch it"),
    (4, "its memory must be replaced: replace the card"),
];

/// `zes_power_energy_counter_t`: microjoules at a time in microseconds. It has no type.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EnergyCounter {
    pub(super) energy: u64,
    pub(super) timestamp: u64,
}

const _: () = {
    assert!(std::mem::offset_of!(PciProperties, domain) == 16);
    assert!(size_of::<MemoryState>() == 40);
    assert!(std::mem::offset_of!(MemoryState, health) == 16 && std::mem::offset_of!(MemoryState, size) == 32);
    assert!(size_of::<EnergyCounter>() == 16);
};
