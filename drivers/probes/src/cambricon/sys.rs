//! CNDev (`cndev.h`). Structures come first among arguments; those that begin with a version want to see one.

use std::mem::offset_of;

use crate::library::call::{Call, Shape};
use crate::library::facts::Word;
use crate::library::layout::{Answer, CENTI, MIB, ONE, word};
use crate::library::nvml::{call, record};

/// `CNDEV_VERSION_6`, then what older drivers want.
pub(super) const VERSIONS: [u32; 2] = [6, 5];

/// `cndevCardInfo_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CardInfo {
    pub(super) version: u32,
    pub(super) number: u32,
}

/// `cndevUUID_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Uuid {
    version: i32,
    uuid: [u8; 37],
    ncs: u64,
}

/// `cndevPCIeInfoV2_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct PcieInfo {
    subsystem_id: u32,
    device_id: u32,
    vendor: u16,
    subsystem_vendor: u16,
    domain: u32,
    bus: u32,
    device: u32,
    function: u32,
    module: u16,
    slot: u16,
    reserved: [u32; 8],
}

/// `cndevMemoryInfoV2_t`, MiB.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryInfo {
    physical_total: i64,
    physical_used: i64,
    reserved_memory: i64,
    virtual_total: i64,
    virtual_used: i64,
    global: u64,
    reserved: [u64; 16],
}

/// `cndevDevicePowerInfo_t`, watts.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct PowerInfo {
    usage: i32,
    cap: i32,
    machine: i32,
    tdp: i32,
    max: i32,
    reserved: [i32; 16],
}

/// `cndevTemperatureInfo_t`, degrees Celsius.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct TemperatureInfo {
    version: i32,
    board: i32,
    cluster: [i32; 20],
    memory_die: [i32; 8],
    chip: i32,
    others: [i32; 6],
}

/// `cndevUtilizationInfo_t`, percent.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct UtilizationInfo {
    version: i32,
    average: i32,
    cores: [i32; 80],
}

const _: () = {
    assert!(size_of::<Uuid>() == 56 && offset_of!(Uuid, uuid) == 4);
    assert!(size_of::<PcieInfo>() == 64 && offset_of!(PcieInfo, domain) == 12);
    assert!(size_of::<MemoryInfo>() == 176 && size_of::<PowerInfo>() == 84);
    assert!(size_of::<TemperatureInfo>() == 148 && offset_of!(TemperatureInfo, chip) == 120);
    assert!(size_of::<UtilizationInfo>() == 328);
};

/// The question about the structure `$structure` once for each of [`VERSIONS`].
macro_rules! versioned {
    ($version:literal, $symbol:literal, $structure:ty, $fields:tt) => {
        call!(
            [$symbol],
            Shape::OutFirst,
            record!($structure, Some((0, VERSIONS[$version])), $fields)
        )
    };
}

const fn uuid(version: u32) -> Call<Shape> {
    const FIELDS: &[crate::library::layout::Field] = &[word(offset_of!(Uuid, uuid), Word::Uuid, 37)];
    call!(
        ["cndevGetUUID"],
        Shape::OutFirst,
        Answer::new(size_of::<Uuid>(), Some((0, version)), FIELDS)
    )
}

/// Every question about a device.
pub(super) const CALLS: &[Call<Shape>] = &[
    uuid(VERSIONS[0]),
    uuid(VERSIONS[1]),
    call!(
        ["cndevGetPCIeInfoV2"],
        Shape::OutFirst,
        record!(PcieInfo, None, {
            domain: U32 => PciDomain * ONE,
            bus: U32 => PciBus * ONE,
            device: U32 => PciDevice * ONE,
            function: U32 => PciFunction * ONE,
        })
    ),
    call!(
        ["cndevGetMemoryUsageV2"],
        Shape::OutFirst,
        record!(MemoryInfo, None, {
            physical_total: I64 => MemoryTotal * MIB, physical_used: I64 => MemoryUsed * MIB
        })
    ),
    call!(
        ["cndevGetDevicePowerInfo"],
        Shape::OutFirst,
        record!(PowerInfo, None, { usage: I32 => Power * ONE, cap: I32 => PowerLimit * ONE })
    ),
    versioned!(0, "cndevGetTemperatureInfo", TemperatureInfo, { chip: I32 => Temperature * ONE }),
    versioned!(1, "cndevGetTemperatureInfo", TemperatureInfo, { chip: I32 => Temperature * ONE }),
    versioned!(0, "cndevGetDeviceUtilizationInfo", UtilizationInfo, { average: I32 => Utilization * CENTI }),
    versioned!(1, "cndevGetDeviceUtilizationInfo", UtilizationInfo, { average: I32 => Utilization * CENTI }),
];
