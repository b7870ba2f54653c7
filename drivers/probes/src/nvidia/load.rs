//! Functions of NVML whose arguments are their own.

use std::ffi::c_void;
use std::ptr::null_mut;

use super::sys::RemappedRows;
use crate::library::call::{Pointer, invoke};
use crate::library::open::Library;
use crate::library::vendor::{MAX_DEVICES, ask};

/// The mask of reasons for low clocks.
pub(super) fn clock_reasons(library: &Library, device: Pointer) -> Option<u64> {
    // SAFETY: both names are `(nvmlDevice_t, unsigned long long *)`.
    let ask = |name| unsafe { ask(library, name, device) };
    ask("nvmlDeviceGetCurrentClocksEventReasons").or_else(|| ask("nvmlDeviceGetCurrentClocksThrottleReasons"))
}

/// Whether retired pages wait for a restart.
pub(super) fn retirement_pends(library: &Library, device: Pointer) -> bool {
    // SAFETY: `(nvmlDevice_t, nvmlEnableState_t *)`, an enumeration of 32 bits.
    unsafe { ask::<_, u32>(library, "nvmlDeviceGetRetiredPagesPendingStatus", device) == Some(1) }
}

/// `nvmlDeviceGetRemappedRows`.
pub(super) fn remapped_rows(library: &Library, device: Pointer) -> Option<RemappedRows> {
    let function = library.symbol("nvmlDeviceGetRemappedRows")?;
    let mut rows = RemappedRows::default();
    // SAFETY: `(nvmlDevice_t, unsigned *, unsigned *, unsigned *, unsigned *)`.
    let code = unsafe {
        invoke!(
            function,
            device => Pointer,
            &raw mut rows.corrected => *mut u32,
            &raw mut rows.uncorrected => *mut u32,
            &raw mut rows.pending => *mut u32,
            &raw mut rows.failed => *mut u32
        )
    };
    (code == 0).then_some(rows)
}

/// Handles of MIG instances; none when the card is whole.
pub(super) fn mig_instances(library: &Library, device: Pointer) -> Vec<Pointer> {
    let Some(function) = library.symbol("nvmlDeviceGetMigDeviceHandleByIndex") else {
        return Vec::new();
    };
    // SAFETY: `(nvmlDevice_t, unsigned *)`.
    let most = unsafe { ask::<_, u32>(library, "nvmlDeviceGetMaxMigDeviceCount", device) };
    let handle = |index| {
        let mut instance: Pointer = null_mut();
        let out: *mut c_void = (&raw mut instance).cast();
        // SAFETY: `(nvmlDevice_t, unsigned, nvmlDevice_t *)`.
        let code = unsafe { invoke!(function, device => Pointer, index => u32, out => *mut c_void) };
        (code == 0 && !instance.is_null()).then_some(instance)
    };
    // Instances have gaps in their numbers: each is asked for.
    (0..most.unwrap_or(0).min(MAX_DEVICES))
        .filter_map(handle)
        .collect()
}
