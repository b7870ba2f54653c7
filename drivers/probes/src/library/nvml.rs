//! The ABI of NVML, which several makers copied under other prefixes (`nvml.h`; bindings of crate nvml-wrapper-sys).

use std::ptr::null_mut;

use super::call::{Call, Pointer, Shape, invoke};
use super::facts::{Fact, Facts};
use super::open::{Library, Refused, check};
use super::vendor::{About, Listener, Started, Vendor, indexed, leave, plain};

/// How a library of the family is started and its devices are listed. Devices are opaque pointers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    /// `(void)`, the newest name first.
    pub(crate) init: &'static [&'static str],
    /// `(unsigned flags)`, called with 0 where the library has no other.
    pub(crate) init_with_flags: Option<&'static str>,
    /// `(unsigned *)`
    pub(crate) count: &'static [&'static str],
    /// `(unsigned, device *)`
    pub(crate) handle: &'static [&'static str],
    /// `(char *, unsigned)`
    pub(crate) version: &'static str,
    /// `(void)`
    pub(crate) shutdown: &'static str,
}

/// A maker whose library is of the family.
pub(crate) trait Relative: Send {
    /// See [`Vendor::ABOUT`].
    const ABOUT: About;
    /// How it is started.
    const FAMILY: Family;
    /// See [`Vendor::CALLS`].
    const CALLS: &'static [Call<Shape>];

    /// See [`Vendor::more`].
    fn more(_library: &Library, _device: Pointer, _facts: &mut Facts) {}

    /// See [`Vendor::parts`].
    fn parts(_library: &Library, _device: Pointer) -> Vec<Pointer> {
        Vec::new()
    }

    /// See [`Vendor::listen`].
    fn listen(_library: &Library, _started: &Started<Pointer>) -> Option<Listener<Pointer>> {
        None
    }
}

impl<R: Relative> Vendor for R {
    type Handle = Pointer;
    const ABOUT: About = R::ABOUT;
    const CALLS: &'static [Call<Shape>] = R::CALLS;

    fn start(library: &Library) -> Result<Started<Pointer>, Refused> {
        let family = R::FAMILY;
        match family.init_with_flags {
            None => {
                // SAFETY: the signature of `init`.
                unsafe { plain(library, family.init)? };
            }
            Some(name) => {
                let function = library.need(name)?;
                // SAFETY: the signature of `init_with_flags`.
                check(name, unsafe { invoke!(function, 0 => u32) })?;
            }
        }
        // SAFETY: the signatures of `count` and `handle`; a null pointer is a value of a pointer.
        let handles = unsafe { indexed(library, family.count, family.handle, null_mut()) }?;
        Ok(handles.into())
    }

    fn version(library: &Library, _started: &Started<Pointer>) -> Option<String> {
        // SAFETY: the signature of `version`.
        unsafe { library.text(R::FAMILY.version) }
    }

    fn more(library: &Library, device: Pointer, facts: &mut Facts) {
        R::more(library, device, facts);
    }

    fn parts(library: &Library, device: Pointer) -> Vec<Pointer> {
        R::parts(library, device)
    }

    fn listen(library: &Library, started: &Started<Pointer>) -> Option<Listener<Pointer>> {
        R::listen(library, started)
    }

    fn stop(library: &Library, _started: &Started<Pointer>) {
        // SAFETY: the signature of `shutdown`.
        unsafe { leave(library, R::FAMILY.shutdown) };
    }
}

/// Notes what `symbol(device, int *major, int *minor)` answers.
pub(crate) fn compute_capability(library: &Library, symbol: &str, device: Pointer, facts: &mut Facts) {
    let Some(function) = library.symbol(symbol) else {
        return;
    };
    let (mut major, mut minor) = (0_i32, 0_i32);
    // SAFETY: the family's function of this name has these arguments.
    let code = unsafe {
        invoke!(function, device => Pointer, &raw mut major => *mut i32, &raw mut minor => *mut i32)
    };
    if code == 0 {
        for (fact, value) in [(Fact::ComputeMajor, major), (Fact::ComputeMinor, minor)] {
            // A capability that can not be is no feature.
            let _unknown = facts.set(fact, f64::from(value));
        }
    }
}

/// `nvmlMemory_t`, bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) total: u64,
    pub(crate) free: u64,
    pub(crate) used: u64,
}

/// `nvmlMemory_v2_t`, bytes; `reserved` is the driver's own and counts as neither used nor free.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryV2 {
    pub(crate) version: u32,
    pub(crate) total: u64,
    pub(crate) reserved: u64,
    pub(crate) free: u64,
    pub(crate) used: u64,
}

/// What [`MemoryV2::version`] must say: its size, and 2 in the highest byte.
pub(crate) const MEMORY_V2: u32 = size_of::<MemoryV2>() as u32 | 2 << 24;

/// `nvmlPciInfo_t`; `bus_id` has a domain of eight digits.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct PciInfo {
    pub(crate) bus_id_legacy: [u8; 16],
    pub(crate) domain: u32,
    pub(crate) bus: u32,
    pub(crate) device: u32,
    pub(crate) pci_device_id: u32,
    pub(crate) pci_sub_system_id: u32,
    pub(crate) bus_id: [u8; 32],
}

/// The same in the libraries that dropped the legacy text and added the function (Enflame, Biren).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct PciInfoShort {
    pub(crate) domain: u32,
    pub(crate) bus: u32,
    pub(crate) device: u32,
    pub(crate) function: u32,
    pub(crate) pci_device_id: u32,
    pub(crate) pci_sub_system_id: u32,
    pub(crate) bus_id: [u8; 32],
}

/// `nvmlUtilization_t`, percent.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Utilization {
    pub(crate) gpu: u32,
    pub(crate) memory: u32,
}

const _: () = {
    assert!(size_of::<Memory>() == 24);
    assert!(size_of::<MemoryV2>() == 40 && MEMORY_V2 == 0x0200_0028);
    assert!(std::mem::offset_of!(MemoryV2, free) == 24);
    assert!(size_of::<PciInfo>() == 68 && std::mem::offset_of!(PciInfo, bus_id) == 36);
    assert!(size_of::<PciInfoShort>() == 56 && std::mem::offset_of!(PciInfoShort, bus_id) == 24);
    assert!(size_of::<Utilization>() == 8);
};

/// Codes that libraries of this family share.
pub(crate) mod codes {
    /// `NVML_ERROR_NOT_SUPPORTED`.
    pub(crate) const NOT_SUPPORTED: i32 = 3;
    /// `NVML_ERROR_FUNCTION_NOT_FOUND`: the library's driver is older than the library.
    pub(crate) const FUNCTION_NOT_FOUND: i32 = 13;
    /// `NVML_ERROR_NO_PERMISSION`.
    pub(crate) const NO_PERMISSION: i32 = 4;
    /// `NVML_ERROR_DRIVER_NOT_LOADED`.
    pub(crate) const DRIVER_NOT_LOADED: i32 = 9;
    /// `NVML_ERROR_GPU_IS_LOST`.
    pub(crate) const LOST: i32 = 15;
}

/// One number at the start of the answer.
macro_rules! scalar {
    ($kind:ident, $fact:ident, $scale:expr) => {
        $crate::library::layout::Answer::new(
            8,
            None,
            &[$crate::library::layout::number(
                0,
                $crate::library::layout::Kind::$kind,
                $crate::library::facts::Fact::$fact,
                $scale,
            )],
        )
    };
}
pub(crate) use scalar;

/// One text that fills the answer.
macro_rules! words {
    ($word:ident, $bytes:expr) => {
        $crate::library::layout::Answer::new(
            $bytes,
            None,
            &[$crate::library::layout::word(
                0,
                $crate::library::facts::Word::$word,
                $bytes,
            )],
        )
    };
}
pub(crate) use words;

/// A structure of which some fields are numbers: `Structure { field: Kind => Fact * scale }`.
macro_rules! record {
    ($structure:ty, $stamp:expr, { $($field:ident: $kind:ident => $fact:ident * $scale:expr),* $(,)? }) => {
        $crate::library::layout::Answer::new(
            size_of::<$structure>(),
            $stamp,
            &[$($crate::library::layout::number(
                std::mem::offset_of!($structure, $field),
                $crate::library::layout::Kind::$kind,
                $crate::library::facts::Fact::$fact,
                $scale,
            )),*],
        )
    };
}
pub(crate) use record;

/// One call: symbols, shape, answer.
macro_rules! call {
    ([$($symbol:expr),+], $shape:expr, $answer:expr) => {
        $crate::library::call::Call { symbols: &[$($symbol),+], shape: $shape, answer: $answer }
    };
}
pub(crate) use call;

/// The calls that every library of this family answers alike, before those of one maker. Temperature is of the sensor 0.
macro_rules! family_calls {
    ($prefix:literal; $($more:expr),* $(,)?) => {{
        use $crate::library::call::Shape;
        use $crate::library::facts::Word;
        use $crate::library::layout::{Answer, CENTI, MILLI, ONE, word};
        use $crate::library::nvml::{
            MEMORY_V2, Memory, MemoryV2, PciInfo, Utilization, call, record, scalar, words,
        };
        &[
            call!([concat!($prefix, "DeviceGetName")], Shape::Text, words!(Name, 96)),
            call!([concat!($prefix, "DeviceGetUUID")], Shape::Text, words!(Uuid, 96)),
            call!(
                [concat!($prefix, "DeviceGetPciInfo_v3")],
                Shape::Out,
                Answer::new(
                    size_of::<PciInfo>(),
                    None,
                    &[word(std::mem::offset_of!(PciInfo, bus_id), Word::Pci, 32)]
                )
            ),
            call!(
                [concat!($prefix, "DeviceGetMemoryInfo_v2")],
                Shape::Out,
                record!(MemoryV2, Some((0, MEMORY_V2)), {
                    total: U64 => MemoryTotal * ONE, free: U64 => MemoryFree * ONE
                })
            ),
            call!(
                [concat!($prefix, "DeviceGetMemoryInfo")],
                Shape::Out,
                record!(Memory, None, { total: U64 => MemoryTotal * ONE, free: U64 => MemoryFree * ONE })
            ),
            call!(
                [concat!($prefix, "DeviceGetUtilizationRates")],
                Shape::Out,
                record!(Utilization, None, { gpu: U32 => Utilization * CENTI })
            ),
            call!(
                [concat!($prefix, "DeviceGetTemperature")],
                Shape::Choice(0),
                scalar!(U32, Temperature, ONE)
            ),
            call!(
                [concat!($prefix, "DeviceGetPowerUsage")],
                Shape::Out,
                scalar!(U32, Power, MILLI)
            ),
            $($more),*
        ]
    }};
}
pub(crate) use family_calls;
