//! mxSml, as two independent bindings have it. Memory is KiB, temperature hundredths of a degree, power milliwatts.

use std::mem::offset_of;

use crate::library::call::{Call, Shape};
use crate::library::facts::{Fact, Word};
use crate::library::layout::{Answer, CENTI, KIB, Kind, MILLI, ONE, number, word};
use crate::library::nvml::{call, record, scalar};

/// `mxSmlDeviceInfo_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct DeviceInfo {
    device_id: u32,
    kind: u32,
    bdf: [u8; 32],
    gpu_id: u32,
    node_id: u32,
    uuid: [u8; 96],
    brand: u32,
    mode: u32,
    name: [u8; 32],
}

/// `mxSmlMemoryInfo_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryInfo {
    visible_total: i64,
    visible_used: i64,
    total: i64,
    used: i64,
    host_total: i64,
    host_used: i64,
}

/// `mxSmlBoardWayElectricInfo_t`: one of the board's supplies.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Supply {
    pub(super) voltage: u32,
    pub(super) current: u32,
    pub(super) power: u32,
}

/// The answer of `mxSmlGetPcieInfo`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct PcieInfo {
    speed: f32,
    width: u32,
}

const _: () = {
    assert!(size_of::<DeviceInfo>() == 184 && offset_of!(DeviceInfo, uuid) == 48);
    assert!(offset_of!(DeviceInfo, name) == 152);
    assert!(size_of::<MemoryInfo>() == 48 && size_of::<Supply>() == 12 && size_of::<PcieInfo>() == 8);
};

/// The hottest spot.
const HOTSPOT: u32 = 0;
/// The general cores of cards of the class C.
const CORES: u32 = 4;

/// Every question about a card.
pub(super) const CALLS: &[Call<Shape>] = &[
    call!(
        ["mxSmlGetDeviceInfo"],
        Shape::Out,
        Answer::new(
            size_of::<DeviceInfo>(),
            None,
            &[
                word(offset_of!(DeviceInfo, name), Word::Name, 32),
                word(offset_of!(DeviceInfo, uuid), Word::Uuid, 96),
                word(offset_of!(DeviceInfo, bdf), Word::Pci, 32),
            ]
        )
    ),
    call!(
        ["mxSmlGetMemoryInfo"],
        Shape::Out,
        Answer::new(
            size_of::<MemoryInfo>(),
            None,
            &[
                number(offset_of!(MemoryInfo, total), Kind::I64, Fact::MemoryTotal, KIB),
                number(offset_of!(MemoryInfo, used), Kind::I64, Fact::MemoryUsed, KIB),
            ]
        )
    ),
    call!(
        ["mxSmlGetTemperatureInfo"],
        Shape::Choice(HOTSPOT),
        scalar!(I32, Temperature, CENTI)
    ),
    call!(
        ["mxSmlGetBoardPowerLimit"],
        Shape::Out,
        scalar!(U32, PowerLimit, MILLI)
    ),
    call!(
        ["mxSmlGetDeviceIpUsage"],
        Shape::Choice(CORES),
        scalar!(I32, Utilization, CENTI)
    ),
    call!(
        ["mxSmlGetPcieInfo"],
        Shape::Out,
        record!(PcieInfo, None, { width: U32 => LinkWidth * ONE })
    ),
];
