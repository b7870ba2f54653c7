//! How CNDev is started and lists its devices.

use std::ffi::{CStr, c_char};

use super::sys::{CardInfo, VERSIONS};
use crate::library::call::invoke;
use crate::library::open::{Library, Refused, check};
use crate::library::vendor::{Handles, MAX_DEVICES, Started, leave};

/// `CNDEV_ERROR_UNSUPPORTED_API_VERSION`.
pub(super) const WRONG_VERSION: i32 = 3;

/// `cndevInit`, then every handle.
pub(super) fn start(library: &Library) -> Result<Started<i32>, Refused> {
    let function = library.need("cndevInit")?;
    // SAFETY: `cndevInit(int)`, whose argument is reserved.
    check("cndevInit", unsafe { invoke!(function, 0 => i32) })?;
    let count = count(library)?;
    let function = library.need("cndevGetDeviceHandleByIndex")?;
    let handle = |index: u32| {
        let mut device = 0_i32;
        let index = index.cast_signed();
        // SAFETY: `cndevGetDeviceHandleByIndex(int, cndevDevice_t *)`, a handle of 32 bits.
        let code = unsafe { invoke!(function, index => i32, &raw mut device => *mut i32) };
        check("cndevGetDeviceHandleByIndex", code).map(|()| device)
    };
    let handles: Handles<i32> = (0..count.min(MAX_DEVICES)).map(handle).collect();
    Ok(handles.into())
}

/// `cndevGetDeviceCount` in the version that the driver takes.
fn count(library: &Library) -> Result<u32, Refused> {
    const NAME: &str = "cndevGetDeviceCount";
    let function = library.need(NAME)?;
    let mut outcome = Ok(0);
    for version in VERSIONS {
        let mut info = CardInfo { version, number: 0 };
        // SAFETY: `cndevGetDeviceCount(cndevCardInfo_t *)`.
        let code = unsafe { invoke!(function, &raw mut info => *mut CardInfo) };
        outcome = check(NAME, code).map(|()| info.number);
        if code != WRONG_VERSION {
            break;
        }
    }
    outcome
}

/// `cndevGetCardNameStringByDevId`.
pub(super) fn name(library: &Library, device: i32) -> Option<Vec<u8>> {
    let function = library.symbol("cndevGetCardNameStringByDevId")?;
    // SAFETY: `const char *cndevGetCardNameStringByDevId(cndevDevice_t)`; a data pointer and a function pointer have the
    // same size and meaning on POSIX systems.
    let name = unsafe {
        std::mem::transmute::<*mut std::ffi::c_void, unsafe extern "C" fn(i32) -> *const c_char>(function)(
            device,
        )
    };
    if name.is_null() {
        return None;
    }
    // SAFETY: the library answers a text of its own that ends with 0 and stays as long as the library.
    Some(unsafe { CStr::from_ptr(name) }.to_bytes().to_vec())
}

/// `cndevGetCardHealthState`: whether the device is well.
pub(super) fn is_well(library: &Library, device: i32) -> Option<bool> {
    let function = library.symbol("cndevGetCardHealthState")?;
    VERSIONS.into_iter().find_map(|version| {
        // `cndevCardHealthState_t` is a version and a state; a margin stands behind them.
        let mut state = [version, 0, 0, 0];
        // SAFETY: `cndevGetCardHealthState(cndevCardHealthState_t *, cndevDevice_t)`.
        let code = unsafe { invoke!(function, state.as_mut_ptr() => *mut u32, device => i32) };
        let [_, health, ..] = state;
        (code == 0).then_some(health == 1)
    })
}

/// `cndevRelease`.
pub(super) fn stop(library: &Library) {
    // SAFETY: `cndevRelease(void)`.
    unsafe { leave(library, "cndevRelease") };
}
