//! DCMI (`dcmi_interface_api.h`, `dcmi_interface_api_v2.h`).

use crate::library::call::{Handle, invoke};

/// How the first generation names a processor: a card and a chip on it, as two arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Card {
    pub(super) card: i32,
    pub(super) device: i32,
}

/// Arguments of DCMI's questions, in both generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// `(device, out)`
    Out,
    /// `(device, choice, out)`
    Choice(i32),
}

impl Handle for Card {
    type Shape = Question;

    unsafe fn call(
        self,
        function: *mut std::ffi::c_void,
        shape: Question,
        out: *mut std::ffi::c_void,
        _bytes: u32,
    ) -> i32 {
        let Self { card, device } = self;
        // SAFETY: the caller promises that the function has the arguments of its shape.
        unsafe {
            match shape {
                Question::Out => {
                    invoke!(function, card => i32, device => i32, out => *mut std::ffi::c_void)
                }
                Question::Choice(choice) => {
                    invoke!(function, card => i32, device => i32, choice => i32, out => *mut std::ffi::c_void)
                }
            }
        }
    }
}

/// How the second generation names a processor: one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chip(pub(super) i32);

impl Handle for Chip {
    type Shape = Question;

    unsafe fn call(
        self,
        function: *mut std::ffi::c_void,
        shape: Question,
        out: *mut std::ffi::c_void,
        _bytes: u32,
    ) -> i32 {
        // SAFETY: the caller promises that the function has the arguments of its shape.
        unsafe {
            match shape {
                Question::Out => invoke!(function, self.0 => i32, out => *mut std::ffi::c_void),
                Question::Choice(choice) => {
                    invoke!(function, self.0 => i32, choice => i32, out => *mut std::ffi::c_void)
                }
            }
        }
    }
}

/// `dcmi_hbm_info`, MiB and degrees Celsius.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct HbmInfo {
    pub(super) memory_size: u64,
    pub(super) frequency: u32,
    pub(super) memory_usage: u64,
    pub(super) temperature: i32,
    pub(super) bandwidth_utilization: u32,
}

/// `dcmi_get_memory_info_stru`, MiB; of processors without HBM. Its header says 96 bytes and means 112.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryInfo {
    pub(super) memory_size: u64,
    pub(super) memory_available: u64,
    pub(super) frequency: u32,
    pub(super) huge_page_size: u64,
    pub(super) huge_pages_total: u64,
    pub(super) huge_pages_free: u64,
    pub(super) utilization: u32,
    pub(super) reserve: [u8; 60],
}

/// `dcmi_pcie_info_all`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct PcieInfo {
    pub(super) vendor: u32,
    pub(super) sub_vendor: u32,
    pub(super) device_id: u32,
    pub(super) sub_device_id: u32,
    pub(super) domain: i32,
    pub(super) bus: u32,
    pub(super) device: u32,
    pub(super) function: u32,
    pub(super) reserve: [u8; 32],
}

/// `dcmi_chip_info_v2`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChipInfo {
    pub(super) chip_type: [u8; 32],
    pub(super) chip_name: [u8; 32],
    pub(super) chip_version: [u8; 32],
    pub(super) ai_cores: u32,
    pub(super) npu_name: [u8; 32],
}

/// `dcmi_ecc_info`: counts of single and double bits since the start and since ever.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct EccInfo {
    pub(super) enabled: i32,
    pub(super) single: u32,
    pub(super) double: u32,
    pub(super) rest: [u32; 6],
}

/// `dcmi_die_id`: the words of an identity.
pub(super) type DieId = [u32; 5];

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<HbmInfo>() == 32 && offset_of!(HbmInfo, memory_usage) == 16);
    assert!(offset_of!(HbmInfo, temperature) == 24);
    assert!(size_of::<MemoryInfo>() == 112);
    assert!(size_of::<PcieInfo>() == 64 && offset_of!(PcieInfo, domain) == 16);
    assert!(size_of::<ChipInfo>() == 132 && offset_of!(ChipInfo, ai_cores) == 96);
    assert!(size_of::<EccInfo>() == 36);
};

/// `dcmi_get_device_utilization_rate` of the AI cores.
pub(super) const AI_CORES: i32 = 2;
/// `dcmi_get_device_ecc_info` of HBM.
pub(super) const HBM: i32 = 2;
/// Power is in tenths of a watt.
pub(super) const TENTH: f64 = 0.1;

/// The questions of one generation, whose functions begin with `$prefix`; `$pcie` is its name for the address, as the
/// first generation has an older structure under that name.
macro_rules! questions {
    ($prefix:literal, $pcie:literal) => {{
        use std::mem::offset_of;
        use $crate::library::facts::Word;
        use $crate::library::layout::{Answer, CENTI, Kind, MIB, ONE, number, word};
        use $crate::library::nvml::{call, record, scalar};
        &[
            call!(
                [concat!($prefix, "_get_device_chip_info_v2"), concat!($prefix, "_get_device_chip_info")],
                Question::Out,
                Answer::new(
                    size_of::<ChipInfo>(),
                    None,
                    &[
                        word(offset_of!(ChipInfo, chip_name), Word::Name, 32),
                        number(
                            offset_of!(ChipInfo, ai_cores),
                            Kind::U32,
                            $crate::library::facts::Fact::Cores,
                            ONE
                        ),
                    ]
                )
            ),
            call!(
                [$pcie],
                Question::Out,
                record!(PcieInfo, None, {
                    domain: I32 => PciDomain * ONE,
                    bus: U32 => PciBus * ONE,
                    device: U32 => PciDevice * ONE,
                    function: U32 => PciFunction * ONE,
                })
            ),
            call!(
                [concat!($prefix, "_get_device_hbm_info"), concat!($prefix, "_get_hbm_info")],
                Question::Out,
                record!(HbmInfo, None, {
                    memory_size: U64 => MemoryTotal * MIB, memory_usage: U64 => MemoryUsed * MIB
                })
            ),
            call!(
                [concat!($prefix, "_get_device_memory_info_v3")],
                Question::Out,
                record!(MemoryInfo, None, {
                    memory_size: U64 => MemoryTotal * MIB, memory_available: U64 => MemoryFree * MIB
                })
            ),
            call!(
                [concat!($prefix, "_get_device_utilization_rate")],
                Question::Choice(AI_CORES),
                scalar!(U32, Utilization, CENTI)
            ),
            call!(
                [concat!($prefix, "_get_device_power_info")],
                Question::Out,
                scalar!(I32, Power, TENTH)
            ),
            call!(
                [concat!($prefix, "_get_device_temperature")],
                Question::Out,
                scalar!(I32, Temperature, ONE)
            ),
            call!(
                [concat!($prefix, "_get_device_ecc_info")],
                Question::Choice(HBM),
                record!(EccInfo, None, {
                    single: U32 => EccCorrected * ONE, double: U32 => EccUncorrected * ONE
                })
            ),
        ]
    }};
}
pub(super) use questions;
