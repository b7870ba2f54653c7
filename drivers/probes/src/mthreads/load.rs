//! MTML's handles: of the library, of its devices, of their parts.

use std::ptr::null_mut;

use crate::library::call::{Pointer, invoke};
use crate::library::open::{Library, Refused, check};
use crate::library::vendor::{Handles, MAX_DEVICES, Started, ask};

/// `mtmlLibraryInit`, then every device.
pub(super) fn start(library: &Library) -> Result<Started<Pointer>, Refused> {
    let function = library.need("mtmlLibraryInit")?;
    let mut session = null_mut();
    // SAFETY: `mtmlLibraryInit(MtmlLibrary **)`.
    let code = unsafe { invoke!(function, &raw mut session => *mut Pointer) };
    check("mtmlLibraryInit", code)?;
    match devices(library, session) {
        Ok(handles) => Ok(Started { handles, session }),
        Err(refused) => {
            release(library, "mtmlLibraryShutDown", session);
            Err(refused)
        }
    }
}

fn devices(library: &Library, session: Pointer) -> Result<Handles<Pointer>, Refused> {
    let function = library.need("mtmlLibraryCountDevice")?;
    let mut count = 0_u32;
    // SAFETY: `mtmlLibraryCountDevice(const MtmlLibrary *, unsigned *)`.
    let code = unsafe { invoke!(function, session => Pointer, &raw mut count => *mut u32) };
    check("mtmlLibraryCountDevice", code)?;
    let function = library.need("mtmlLibraryInitDeviceByIndex")?;
    let handle = |index: u32| {
        let mut device = null_mut();
        // SAFETY: `mtmlLibraryInitDeviceByIndex(const MtmlLibrary *, unsigned, MtmlDevice **)`.
        let code =
            unsafe { invoke!(function, session => Pointer, index => u32, &raw mut device => *mut Pointer) };
        check("mtmlLibraryInitDeviceByIndex", code).map(|()| device)
    };
    Ok((0..count.min(MAX_DEVICES)).map(handle).collect())
}

/// `mtmlSystemGetDriverVersion`.
pub(super) fn version(library: &Library, session: Pointer) -> Option<String> {
    let system = part(library, "mtmlLibraryInitSystem", session)?;
    let function = library.symbol("mtmlSystemGetDriverVersion");
    let text = function.and_then(|function| {
        let mut text = [0_u8; 256];
        // SAFETY: `mtmlSystemGetDriverVersion(const MtmlSystem *, char *, unsigned)`; the text has more room than said.
        let code = unsafe { invoke!(function, system => Pointer, text.as_mut_ptr() => *mut u8, 128 => u32) };
        Some(crate::library::facts::clean(&text)).filter(|text| code == 0 && !text.is_empty())
    });
    release(library, "mtmlLibraryFreeSystem", system);
    text
}

/// Asks about a part of `device` while it is held: `open(device, part **)`, `close(part)`.
pub(super) fn with_part<T>(
    library: &Library,
    [open, close]: [&str; 2],
    device: Pointer,
    read: impl FnOnce(Pointer) -> T,
) -> Option<T> {
    let part = part(library, open, device)?;
    let read = read(part);
    release(library, close, part);
    Some(read)
}

fn part(library: &Library, open: &str, of: Pointer) -> Option<Pointer> {
    let function = library.symbol(open)?;
    let mut part = null_mut();
    // SAFETY: every `mtml…Init…(const parent *, part **)` has this signature.
    let code = unsafe { invoke!(function, of => Pointer, &raw mut part => *mut Pointer) };
    (code == 0 && !part.is_null()).then_some(part)
}

/// Gives a handle back. There is nothing to do about one that is not taken.
pub(super) fn release(library: &Library, name: &str, handle: Pointer) {
    if let Some(function) = library.symbol(name) {
        // SAFETY: every `mtml…Free…` and `mtmlLibraryShutDown` takes the handle alone.
        let _code = unsafe { invoke!(function, handle => Pointer) };
    }
}

/// A number of 64 bits about a part.
pub(super) fn long(library: &Library, name: &str, part: Pointer) -> Option<f64> {
    // SAFETY: `mtmlMemoryGet{Total,Used}(const MtmlMemory *, unsigned long long *)`.
    unsafe { ask::<_, u64>(library, name, part) }.map(|number| number as f64)
}

/// A number of 32 bits about a part.
pub(super) fn short(library: &Library, name: &str, part: Pointer) -> Option<f64> {
    // SAFETY: `mtmlGpuGet{Utilization,Temperature}(const MtmlGpu *, unsigned *)`.
    unsafe { ask::<_, u32>(library, name, part) }.map(f64::from)
}
