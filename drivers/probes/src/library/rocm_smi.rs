//! The ABI of `librocm_smi64.so` (`rocm_smi/rocm_smi.h`), which AMD and, as a fork, Hygon ship. Devices are numbers.

use std::marker::PhantomData;

use super::call::{Call, Shape, invoke};
use super::facts::{Fact, Facts, Word};
use super::layout::{CENTI, MICRO, MILLI, ONE};
use super::nvml::{call, scalar, words};
use super::open::{Library, Refused, check};
use super::vendor::{About, Handles, MAX_DEVICES, Started, Vendor, ask, leave};

/// `RSMI_STATUS_NOT_SUPPORTED`, `_NOT_YET_IMPLEMENTED`, `_UNEXPECTED_SIZE` of firmware tables, `_NO_DATA`.
const NOT_SUPPORTED: &[i32] = &[2, 9, 11, 14];

/// What other codes mean.
const CODES: &[(i32, &str)] = &[
    (4, "allow mains-worker to read /sys and to open /dev/kfd"),
    (
        8,
        "the driver is not loaded: run modprobe amdgpu (hydcu on a Hygon DCU)",
    ),
    (16, "another program holds it: try again"),
];

/// Memory of kind 0 is the device's own; sensor 0 and metric 0 are the current temperature at its edge.
const CALLS: &[Call<Shape>] = &[
    call!(["rsmi_dev_name_get"], Shape::TextSize, words!(Name, 128)),
    call!(
        ["rsmi_dev_memory_total_get"],
        Shape::Choice(0),
        scalar!(U64, MemoryTotal, ONE)
    ),
    call!(
        ["rsmi_dev_memory_usage_get"],
        Shape::Choice(0),
        scalar!(U64, MemoryUsed, ONE)
    ),
    call!(
        ["rsmi_dev_temp_metric_get"],
        Shape::Choices(0, 0),
        scalar!(I64, Temperature, MILLI)
    ),
    call!(
        ["rsmi_dev_power_ave_get"],
        Shape::Choice(0),
        scalar!(U64, Power, MICRO)
    ),
    // A current reading beside its kind; cards without an average have it alone.
    call!(["rsmi_dev_power_get"], Shape::OutOut, scalar!(U64, Power, MICRO)),
    call!(
        ["rsmi_dev_power_cap_get"],
        Shape::Choice(0),
        scalar!(U64, PowerLimit, MICRO)
    ),
    call!(
        ["rsmi_dev_busy_percent_get"],
        Shape::Out,
        scalar!(U32, Utilization, CENTI)
    ),
];

/// A maker who ships this library.
pub(crate) trait Fork: Send {
    /// See [`Vendor::ABOUT`]; codes are filled in.
    const ABOUT: About;
}

/// The library as one maker ships it.
pub(crate) struct RocmSmi<F>(PhantomData<F>);

impl<F: Fork> Vendor for RocmSmi<F> {
    type Handle = u32;

    const ABOUT: About = About {
        not_supported: NOT_SUPPORTED,
        codes: CODES,
        ..F::ABOUT
    };

    const CALLS: &'static [Call<Shape>] = CALLS;

    fn start(library: &Library) -> Result<Started<u32>, Refused> {
        let function = library.need("rsmi_init")?;
        // SAFETY: `rsmi_init(uint64_t flags)`; 0 asks for all GPUs.
        check("rsmi_init", unsafe { invoke!(function, 0 => u64) })?;
        let function = library.need("rsmi_num_monitor_devices")?;
        let mut count = 0_u32;
        // SAFETY: `rsmi_num_monitor_devices(uint32_t *)`.
        let code = unsafe { invoke!(function, &raw mut count => *mut u32) };
        check("rsmi_num_monitor_devices", code)?;
        let handles: Handles<u32> = (0..count.min(MAX_DEVICES)).map(Ok).collect();
        Ok(handles.into())
    }

    fn version(library: &Library, _started: &Started<u32>) -> Option<String> {
        driver_version(library)
    }

    fn more(library: &Library, device: u32, facts: &mut Facts) {
        identity(library, device, facts);
    }

    fn stop(library: &Library, _started: &Started<u32>) {
        // SAFETY: `rsmi_shut_down(void)`.
        unsafe { leave(library, "rsmi_shut_down") };
    }
}

/// The version of the driver (component 0), as `rsmi_version_str_get` writes it.
fn driver_version(library: &Library) -> Option<String> {
    let function = library.symbol("rsmi_version_str_get")?;
    let mut text = [0_u8; 256];
    // SAFETY: `(rsmi_sw_component_t, char *, uint32_t)`; the text has more room than the library is told.
    let code = unsafe { invoke!(function, 0 => u32, text.as_mut_ptr() => *mut u8, 128 => u32) };
    Some(super::facts::clean(&text)).filter(|text| code == 0 && !text.is_empty())
}

/// The PCI address, the unique id and the energy, whose forms are the library's own.
fn identity(library: &Library, device: u32, facts: &mut Facts) {
    // SAFETY: `(uint32_t, uint64_t *)`, both.
    let ask = |name| unsafe { ask::<_, u64>(library, name, device) };
    if let Some(id) = ask("rsmi_dev_pci_id_get") {
        for (fact, value) in address(id) {
            // What can not be is no address.
            let _unknown = facts.set(fact, value as f64);
        }
    }
    if let Some(id) = ask("rsmi_dev_unique_id_get").filter(|id| *id != 0) {
        facts.set_word(Word::Uuid, format!("GPU-{id:016x}").as_bytes());
    }
    if let Some(joules) = energy(library, device) {
        let _unknown = facts.set(Fact::Energy, joules);
    }
}

/// `domain << 32 | partition << 28 | bus << 8 | device << 3 | function`.
fn address(id: u64) -> [(Fact, u64); 4] {
    [
        (Fact::PciDomain, id >> 32),
        (Fact::PciBus, id >> 8 & 0xff),
        (Fact::PciDevice, id >> 3 & 0x1f),
        (Fact::PciFunction, id & 7),
    ]
}

/// A counter times its resolution in microjoules.
fn energy(library: &Library, device: u32) -> Option<f64> {
    let function = library.symbol("rsmi_dev_energy_count_get")?;
    let (mut counter, mut resolution, mut time) = (0_u64, 0_f32, 0_u64);
    // SAFETY: `(uint32_t, uint64_t *, float *, uint64_t *)`.
    let code = unsafe {
        invoke!(
            function,
            device => u32,
            &raw mut counter => *mut u64,
            &raw mut resolution => *mut f32,
            &raw mut time => *mut u64
        )
    };
    (code == 0 && resolution > 0.0).then(|| counter as f64 * f64::from(resolution) * MICRO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_an_address() {
        let parts = address(1 << 32 | 2 << 28 | 0xc3 << 8 | 4 << 3 | 1);
        assert_eq!(parts.map(|(_, value)| value), [1, 0xc3, 4, 1]);
    }
}
