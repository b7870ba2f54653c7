//! BRML (`brml.h` of 2024). The temperature is left out: its sensors answer codes of ranges.

use std::mem::offset_of;

use crate::library::call::{Call, Shape};
use crate::library::facts::Word;
use crate::library::layout::{Answer, CENTI, MILLI, ONE, word};
use crate::library::nvml::{Memory, PciInfoShort, Utilization, call, record, scalar, words};

/// Every question about a card.
pub(super) const CALLS: &[Call<Shape>] = &[
    call!(["brmlDeviceGetProductPartNumber"], Shape::Text, words!(Name, 80)),
    call!(["brmlDeviceGetUUID"], Shape::Text, words!(Uuid, 80)),
    call!(
        ["brmlDeviceGetPciInfo"],
        Shape::Out,
        Answer::new(
            size_of::<PciInfoShort>(),
            None,
            &[word(offset_of!(PciInfoShort, bus_id), Word::Pci, 32)]
        )
    ),
    call!(
        ["brmlDeviceGetMemoryInfo"],
        Shape::Out,
        record!(Memory, None, { total: U64 => MemoryTotal * ONE, free: U64 => MemoryFree * ONE })
    ),
    call!(
        ["brmlDeviceGetUtilizationRates"],
        Shape::Out,
        record!(Utilization, None, { gpu: U32 => Utilization * CENTI })
    ),
    call!(
        ["brmlDeviceGetPowerUsage"],
        Shape::Out,
        scalar!(U32, Power, MILLI)
    ),
    call!(
        ["brmlDeviceGetPowerManagementLimit"],
        Shape::Out,
        scalar!(U32, PowerLimit, MILLI)
    ),
];
