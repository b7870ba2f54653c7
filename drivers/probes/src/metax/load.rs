//! Functions of mxSml whose arguments are their own.

use std::ptr::null_mut;

use super::sys::Supply;
use crate::library::call::invoke;
use crate::library::open::{Library, Refused};
use crate::library::vendor::{Handles, MAX_DEVICES, Started, plain};

/// `mxSmlInit`, then every number: the count is what the function returns.
pub(super) fn start(library: &Library) -> Result<Started<u32>, Refused> {
    // SAFETY: `mxSmlInit(void)`.
    unsafe { plain(library, &["mxSmlInit"])? };
    let function = library.need("mxSmlGetDeviceCount")?;
    // SAFETY: `unsigned mxSmlGetDeviceCount(void)`.
    let count = unsafe { invoke!(function,) };
    let count = u32::try_from(count).unwrap_or(0).min(MAX_DEVICES);
    let handles: Handles<u32> = (0..count).map(Ok).collect();
    Ok(handles.into())
}

/// The driver's version, which the first card tells.
pub(super) fn version(library: &Library) -> Option<String> {
    /// The unit "driver" of a card.
    const DRIVER: u32 = 1;
    let function = library.symbol("mxSmlGetDeviceVersion")?;
    let mut text = [0_u8; 128];
    let mut length = 64_u32;
    // SAFETY: `mxSmlGetDeviceVersion(unsigned, enum, char *, unsigned *)`; the text has more room than the length says.
    let code = unsafe {
        invoke!(
            function, 0 => u32, DRIVER => u32, text.as_mut_ptr() => *mut u8, &raw mut length => *mut u32
        )
    };
    Some(crate::library::facts::clean(&text)).filter(|text| code == 0 && !text.is_empty())
}

/// Milliwatts of all supplies of a board together.
pub(super) fn power(library: &Library, device: u32) -> Option<f64> {
    /// Boards have a handful.
    const MOST: u32 = 32;
    let function = library.symbol("mxSmlGetBoardPowerInfo")?;
    let ask = |count: &mut u32, supplies: *mut Supply| {
        let count: *mut u32 = count;
        // SAFETY: `mxSmlGetBoardPowerInfo(unsigned, unsigned *, mxSmlBoardWayElectricInfo_t *)`; the supplies are null or
        // have room for the count.
        unsafe { invoke!(function, device => u32, count => *mut u32, supplies => *mut Supply) }
    };
    let mut count = 0;
    // The first answer is the count, with the code for too little room.
    let _too_small = ask(&mut count, null_mut());
    count = count.min(MOST);
    let mut supplies = [Supply::default(); MOST as usize];
    let code = ask(&mut count, supplies.as_mut_ptr());
    let known = supplies.iter().take(count as usize);
    (code == 0 && count > 0).then(|| known.map(|supply| f64::from(supply.power)).sum())
}
