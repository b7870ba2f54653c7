//! Level Zero's system management (`zes_api.h`). It makes no context.

use std::ptr::null_mut;

use mains_contract::{DeviceKind, HealthState};

use super::sys::{
    EnergyCounter, Handle, MEMORY_HEALTH, MEMORY_STATE, MemoryState, PCI_PROPERTIES, PciProperties,
};
use crate::library::call::{Call, Pointer, Shape, invoke};
use crate::library::facts::{Fact, Facts};
use crate::library::layout::{MICRO, ONE};
use crate::library::nvml::{call, record};
use crate::library::open::{Library, Refused, check};
use crate::library::vendor::{About, Handles, MAX_DEVICES, Started, Vendor, ask};

/// `libze_loader.so.1`.
pub(crate) struct LevelZero;

impl Vendor for LevelZero {
    type Handle = Pointer;

    const ABOUT: About = About {
        // ZE_RESULT_ERROR_UNINITIALIZED: the loader found no driver.
        no_device: &[0x7800_0001],
        // ZE_RESULT_ERROR_UNSUPPORTED_FEATURE, _NOT_AVAILABLE.
        not_supported: &[0x7800_0003, 0x7001_0001],
        // ZE_RESULT_ERROR_DEVICE_LOST.
        lost: &[0x7000_0001],
        codes: &[
            (0x7001_0000, "allow mains-worker to open /dev/dri/*"),
            (0x7002_0000, "install intel-level-zero-gpu"),
            (0x7000_0001, "the device was reset: restart the machine"),
        ],
        ..About::new(
            "level_zero",
            "Intel",
            DeviceKind::Gpu,
            "LEVEL_ZERO",
            &["libze_loader.so.1"],
        )
    };

    const CALLS: &'static [Call<Shape>] = &[call!(
        ["zesDevicePciGetProperties"],
        Shape::Out,
        record!(PciProperties, Some((0, PCI_PROPERTIES)), {
            domain: U32 => PciDomain * ONE,
            bus: U32 => PciBus * ONE,
            device: U32 => PciDevice * ONE,
            function: U32 => PciFunction * ONE,
        })
    )];

    fn start(library: &Library) -> Result<Started<Pointer>, Refused> {
        let function = library.need("zesInit")?;
        // SAFETY: `zesInit(zes_init_flags_t)`, 32 bits.
        check("zesInit", unsafe { invoke!(function, 0 => u32) })?;
        let mut devices: Handles<Pointer> = Vec::new();
        // SAFETY: `zesDriverGet(uint32_t *, zes_driver_handle_t *)`.
        for driver in unsafe { listed(library, "zesDriverGet", None)? } {
            // SAFETY: `zesDeviceGet(zes_driver_handle_t, uint32_t *, zes_device_handle_t *)`.
            devices.extend(
                unsafe { listed(library, "zesDeviceGet", Some(driver))? }
                    .into_iter()
                    .map(Ok),
            );
        }
        Ok(devices.into())
    }

    fn more(library: &Library, device: Pointer, facts: &mut Facts) {
        if facts.get(Fact::PciBus) == Some(0.0) {
            // Graphics within a processor are on its own bus.
            let _noted = facts.set(Fact::Integrated, 1.0);
        }
        memory(library, device, facts);
        let joules = parts(library, "zesDeviceEnumPowerDomains", device)
            .into_iter()
            .find_map(|domain| {
                // SAFETY: `(zes_pwr_handle_t, zes_power_energy_counter_t *)`.
                unsafe { ask::<_, EnergyCounter>(library, "zesPowerGetEnergyCounter", domain) }
            });
        let degrees = parts(library, "zesDeviceEnumTemperatureSensors", device)
            .into_iter()
            // SAFETY: `(zes_temp_handle_t, double *)`.
            .filter_map(|sensor| unsafe { ask::<_, f64>(library, "zesTemperatureGetState", sensor) })
            .reduce(f64::max);
        let energy = joules.map(|counter| (Fact::Energy, counter.energy as f64 * MICRO));
        for (fact, value) in energy
            .into_iter()
            .chain(degrees.map(|degrees| (Fact::Temperature, degrees)))
        {
            // A reading that can not be is left out.
            let _unknown = facts.set(fact, value);
        }
    }
}

/// Sums the memory modules, and tells of unwell ones.
fn memory(library: &Library, device: Pointer, facts: &mut Facts) {
    let (mut size, mut free) = (0_u64, 0_u64);
    let Some(function) = library.symbol("zesMemoryGetState") else {
        return;
    };
    for module in parts(library, "zesDeviceEnumMemoryModules", device) {
        let mut state = MemoryState {
            stype: MEMORY_STATE,
            next: null_mut(),
            health: 0,
            free: 0,
            size: 0,
        };
        // SAFETY: `(zes_mem_handle_t, zes_mem_state_t *)`, of which type and next are set.
        let code = unsafe { invoke!(function, module => Handle, &raw mut state => *mut MemoryState) };
        if code != 0 {
            continue;
        }
        size = size.saturating_add(state.size);
        free = free.saturating_add(state.free);
        let unwell = MEMORY_HEALTH.iter().find(|(health, _)| *health == state.health);
        if let Some((_, reason)) = unwell {
            facts.ail(HealthState::Degraded, *reason);
        }
    }
    if size > 0 {
        for (fact, bytes) in [(Fact::MemoryTotal, size), (Fact::MemoryFree, free)] {
            let _unknown = facts.set(fact, bytes as f64);
        }
    }
}

/// What `name` lists of a device; nothing when it can not.
fn parts(library: &Library, name: &'static str, device: Pointer) -> Vec<Pointer> {
    // SAFETY: every enumeration is `(zes_device_handle_t, uint32_t *, handle *)`.
    unsafe { listed(library, name, Some(device)) }.unwrap_or_default()
}

/// Handles that `name([of,] uint32_t *count, handle *list)` lists, asked for their number first.
///
/// # Safety
/// The library's function of that name has this signature, with `of` where it is given.
unsafe fn listed(
    library: &Library,
    name: &'static str,
    of: Option<Pointer>,
) -> Result<Vec<Pointer>, Refused> {
    let function = library.need(name)?;
    let call = |count: &mut u32, list: *mut Pointer| {
        let count: *mut u32 = count;
        // SAFETY: as the caller promises; the list is null or has room for the count.
        let code = unsafe {
            match of {
                Some(of) => invoke!(function, of => Pointer, count => *mut u32, list => *mut Pointer),
                None => invoke!(function, count => *mut u32, list => *mut Pointer),
            }
        };
        check(name, code)
    };
    let mut count = 0;
    call(&mut count, null_mut())?;
    count = count.min(MAX_DEVICES);
    let mut list = vec![null_mut(); count as usize];
    if count > 0 {
        call(&mut count, list.as_mut_ptr())?;
    }
    list.truncate(count as usize);
    list.retain(|handle: &Pointer| !handle.is_null());
    Ok(list)
}
