//! What NVML has beyond the family's common calls (`nvml.h`).

use crate::library::call::{Call, Pointer, Shape};
use crate::library::nvml::family_calls;

/// Every question about a card or a MIG instance. Errors of memory are those since the driver was loaded (counter 0);
/// kind 0 was corrected, kind 1 was not.
pub(super) const CALLS: &[Call<Shape>] = family_calls!("nvml";
    call!(["nvmlDeviceGetEnforcedPowerLimit"], Shape::Out, scalar!(U32, PowerLimit, MILLI)),
    call!(["nvmlDeviceGetTotalEnergyConsumption"], Shape::Out, scalar!(U64, Energy, MILLI)),
    call!(["nvmlDeviceGetCurrPcieLinkGeneration"], Shape::Out, scalar!(U32, LinkGeneration, ONE)),
    call!(["nvmlDeviceGetCurrPcieLinkWidth"], Shape::Out, scalar!(U32, LinkWidth, ONE)),
    call!(["nvmlDeviceGetMaxPcieLinkGeneration"], Shape::Out, scalar!(U32, LinkMaxGeneration, ONE)),
    call!(["nvmlDeviceGetMaxPcieLinkWidth"], Shape::Out, scalar!(U32, LinkMaxWidth, ONE)),
    call!(["nvmlDeviceGetTotalEccErrors"], Shape::Choices(0, 0), scalar!(U64, EccCorrected, ONE)),
    call!(["nvmlDeviceGetTotalEccErrors"], Shape::Choices(1, 0), scalar!(U64, EccUncorrected, ONE)),
);

/// Bits of `nvmlDeviceGetCurrentClocksEventReasons` that say why clocks are held down; idleness and clocks that somebody
/// set are none. The flag says whether the card is unwell: reaching the configured power is ordinary.
pub(super) const CLOCK_REASONS: &[(u64, &str, bool)] = &[
    (0x04, "its power limit", false),
    (
        0x08,
        "a hardware slowdown (heat, power or the external brake)",
        true,
    ),
    (0x20, "heat, as the driver sees it", true),
    (0x40, "heat, as the hardware sees it", true),
    (0x80, "the external power brake", true),
];

/// Answer of `nvmlDeviceGetRemappedRows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RemappedRows {
    pub(super) corrected: u32,
    pub(super) uncorrected: u32,
    pub(super) pending: u32,
    pub(super) failed: u32,
}

/// `nvmlEventData_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct EventData {
    pub(super) device: Pointer,
    pub(super) kind: u64,
    pub(super) data: u64,
    pub(super) gpu_instance: u32,
    pub(super) compute_instance: u32,
}

/// `nvmlEventTypeXidCriticalError`: the driver met an error, whose number is the event's data.
pub(super) const XID: u64 = 0x8;

#[cfg(test)]
mod tests {
    use super::EventData;

    #[test]
    fn the_layout_is_the_headers() {
        assert_eq!(size_of::<EventData>(), 32);
        assert_eq!(std::mem::offset_of!(EventData, data), 16);
        assert_eq!(std::mem::offset_of!(EventData, compute_instance), 28);
    }
}
