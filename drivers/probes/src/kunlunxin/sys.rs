//! XPUML (`xpuml.h` of 2022). Names and UUIDs are not part of it; the power is left out, whose unit it does not give.

use std::mem::offset_of;

use crate::library::call::{Call, Shape};
use crate::library::facts::Word;
use crate::library::layout::{Answer, CENTI, ONE, word};
use crate::library::nvml::{call, record, scalar, words};

/// `xpumlMemory_t`, bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    page_size_global: u64,
    total_global: u64,
    free_global: u64,
    used_global: u64,
    page_size_l3: u64,
    total_l3: u64,
    free_l3: u64,
    used_l3: u64,
    reserved: [u64; 8],
}

/// `xpumlPciInfo_t`; the numbers before the text are those of NVML.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct PciInfo {
    numbers: [u32; 6],
    bus_id: [u8; 32],
    reserved: [u64; 9],
}

/// `xpumlUtilization_t`, percent.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Utilization {
    xpu: u32,
    memory: u32,
    reserved: [u64; 15],
}

const _: () = {
    assert!(size_of::<Memory>() == 128 && offset_of!(Memory, free_global) == 16);
    assert!(size_of::<PciInfo>() == 128 && offset_of!(PciInfo, bus_id) == 24);
    assert!(size_of::<Utilization>() == 128);
};

/// Every question about a device. The serial number stands in for a UUID.
pub(super) const CALLS: &[Call<Shape>] = &[
    call!(["xpumlDeviceGetSerial"], Shape::Text, words!(Uuid, 17)),
    call!(
        ["xpumlDeviceGetPciInfo"],
        Shape::Out,
        Answer::new(
            size_of::<PciInfo>(),
            None,
            &[word(offset_of!(PciInfo, bus_id), Word::Pci, 32)]
        )
    ),
    call!(
        ["xpumlDeviceGetMemoryInfo"],
        Shape::Out,
        record!(Memory, None, { total_global: U64 => MemoryTotal * ONE, free_global: U64 => MemoryFree * ONE })
    ),
    call!(
        ["xpumlDeviceGetUtilizationRates"],
        Shape::Out,
        record!(Utilization, None, { xpu: U32 => Utilization * CENTI })
    ),
    call!(
        ["xpumlDeviceGetTemperature"],
        Shape::Choice(0),
        scalar!(U32, Temperature, ONE)
    ),
];
