//! EFML's newer interface (`efml.h` 1.2.3). Its `efmlMemory_v2_t` orders fields unlike NVML's and is not used; units of
//! the older interface are not documented.

use std::mem::offset_of;

use crate::library::call::{Call, Shape};
use crate::library::facts::Word;
use crate::library::layout::{Answer, MILLI, ONE, word};
use crate::library::nvml::{Memory, PciInfoShort, call, record, scalar, words};

/// Every question about a device.
pub(super) const CALLS: &[Call<Shape>] = &[
    call!(["efmlDeviceGetName"], Shape::Text, words!(Name, 128)),
    call!(
        ["efmlDeviceGetPciInfo_v3"],
        Shape::Out,
        Answer::new(
            size_of::<PciInfoShort>(),
            None,
            &[word(offset_of!(PciInfoShort, bus_id), Word::Pci, 32)]
        )
    ),
    call!(
        ["efmlDeviceGetMemoryInfo"],
        Shape::Out,
        record!(Memory, None, { total: U64 => MemoryTotal * ONE, free: U64 => MemoryFree * ONE })
    ),
    call!(
        ["efmlDeviceGetPowerUsage"],
        Shape::Out,
        scalar!(U32, Power, MILLI)
    ),
    call!(
        ["efmlDeviceGetTemperature"],
        Shape::Choice(0),
        scalar!(I32, Temperature, ONE)
    ),
    call!(
        ["efmlDeviceGetCurrPcieLinkGeneration"],
        Shape::Out,
        scalar!(U32, LinkGeneration, ONE)
    ),
    call!(
        ["efmlDeviceGetCurrPcieLinkWidth"],
        Shape::Out,
        scalar!(U32, LinkWidth, ONE)
    ),
];
