//! What ixml has beyond the family's common calls (`ixml.h` of the device plugin).

use crate::library::call::{Call, Shape};
use crate::library::nvml::family_calls;

/// Every question about a card. Memory v2 is laid out as NVIDIA's.
pub(super) const CALLS: &[Call<Shape>] = family_calls!("nvml";
    call!(["nvmlDeviceGetPowerManagementDefaultLimit"], Shape::Out, scalar!(U32, PowerLimit, MILLI)),
);

/// Bits of `ixmlDeviceGetHealth`; none when the card is well.
pub(super) const HEALTH: &[(u64, &str)] = &[
    (0x01, "its system hub reports errors"),
    (0x02, "its memory controller reports errors"),
    (0x04, "it is too hot: look after the cooling"),
    (0x08, "its voltage is too high"),
    (0x10, "its memory has errors that were not corrected"),
    (0x20, "its memory fails"),
    (0x40, "its PCI Express link reports errors"),
];
