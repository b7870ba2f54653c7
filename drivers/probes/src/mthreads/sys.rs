//! MTML (`mtml.h`).

use std::mem::offset_of;

use crate::library::call::{Call, Shape};
use crate::library::facts::Word;
use crate::library::layout::{Answer, Kind, MILLI, ONE, number, word};
use crate::library::nvml::{call, scalar, words};

/// `MtmlPciInfo`; speeds are GT/s.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct PciInfo {
    sbdf: [u8; 32],
    numbers: [u32; 6],
    max_speed: f32,
    current_speed: f32,
    max_width: u32,
    current_width: u32,
    max_generation: u32,
    current_generation: u32,
    reserved: [i32; 6],
}

const _: () = assert!(size_of::<PciInfo>() == 104 && offset_of!(PciInfo, max_width) == 64);

/// Every question about a device itself; its memory and processor have handles of their own.
pub(super) const CALLS: &[Call<Shape>] = {
    use crate::library::facts::Fact::{LinkGeneration, LinkMaxGeneration, LinkMaxWidth, LinkWidth};
    &[
        call!(["mtmlDeviceGetName"], Shape::Text, words!(Name, 32)),
        call!(["mtmlDeviceGetUUID"], Shape::Text, words!(Uuid, 48)),
        call!(
            ["mtmlDeviceGetPciInfo"],
            Shape::Out,
            Answer::new(
                size_of::<PciInfo>(),
                None,
                &[
                    word(offset_of!(PciInfo, sbdf), Word::Pci, 32),
                    number(offset_of!(PciInfo, max_width), Kind::U32, LinkMaxWidth, ONE),
                    number(offset_of!(PciInfo, current_width), Kind::U32, LinkWidth, ONE),
                    number(
                        offset_of!(PciInfo, max_generation),
                        Kind::U32,
                        LinkMaxGeneration,
                        ONE
                    ),
                    number(
                        offset_of!(PciInfo, current_generation),
                        Kind::U32,
                        LinkGeneration,
                        ONE
                    ),
                ]
            )
        ),
        call!(["mtmlDeviceCountGpuCores"], Shape::Out, scalar!(U32, Cores, ONE)),
        // The header says milliwatts.
        call!(
            ["mtmlDeviceGetPowerUsage"],
            Shape::Out,
            scalar!(U32, Power, MILLI)
        ),
    ]
};
