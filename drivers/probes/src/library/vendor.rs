//! What a maker's folder says of its library.

use std::ffi::c_void;

use mains_contract::{DeviceKind, HealthState};

use super::call::{Call, Handle, Pointer, invoke};
use super::facts::Facts;
use super::open::{Library, Refused, check};

/// What is the same for every device of a library.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    /// The probe's name.
    pub(crate) source: &'static str,
    /// Who makes the devices.
    pub(crate) maker: &'static str,
    /// What they are.
    pub(crate) kind: DeviceKind,
    /// `MAINS_LIB_<this>` gives another library.
    pub(crate) library: &'static str,
    /// Where the library is; `$NAME/` stands for a variable of the environment.
    pub(crate) names: &'static [&'static str],
    /// Libraries whose symbols it needs without saying so.
    pub(crate) before: &'static [&'static str],
    /// Open it only where a PCI device of this maker is: two makers' libraries have one name.
    pub(crate) pci_vendor: Option<u16>,
    /// Codes of a library that works and has no device.
    pub(crate) no_device: &'static [i32],
    /// Codes of a question that this device or release does not answer.
    pub(crate) not_supported: &'static [i32],
    /// Codes of a device that is gone.
    pub(crate) lost: &'static [i32],
    /// What other codes mean, as what to do.
    pub(crate) codes: &'static [(i32, &'static str)],
    /// What the maker's driver is called.
    pub(crate) runtime: &'static str,
    /// Facts that were never compared with a real device or a current header.
    pub(crate) unverified: &'static [&'static str],
}

impl About {
    /// A library of which only this is to say.
    pub(crate) const fn new(
        source: &'static str,
        maker: &'static str,
        kind: DeviceKind,
        library: &'static str,
        names: &'static [&'static str],
    ) -> Self {
        Self {
            source,
            maker,
            kind,
            library,
            names,
            before: &[],
            pci_vendor: None,
            no_device: &[],
            not_supported: &[],
            lost: &[],
            codes: &[],
            runtime: source,
            unverified: &[],
        }
    }

    /// What happened, in words.
    pub(crate) fn explain(&self, refused: &Refused) -> String {
        let Refused::Code { code, .. } = refused else {
            return refused.to_string();
        };
        let known = self.codes.iter().find(|(known, _)| known == code);
        known.map_or_else(|| refused.to_string(), |(_, words)| format!("{refused}: {words}"))
    }
}

/// Handles in the library's order. One that can not be had costs its device alone.
pub(crate) type Handles<H> = Vec<Result<H, Refused>>;

/// A library that was started.
pub(crate) struct Started<H> {
    /// Its devices.
    pub(crate) handles: Handles<H>,
    /// What its functions want to see, where they want anything.
    pub(crate) session: Pointer,
}

impl<H> From<Handles<H>> for Started<H> {
    fn from(handles: Handles<H>) -> Self {
        Self {
            handles,
            session: std::ptr::null_mut(),
        }
    }
}

/// A maker's library as a table.
pub(crate) trait Vendor: Send {
    /// How it names a device.
    type Handle: Handle;

    /// What it is.
    const ABOUT: About;

    /// What is asked about each device, in this order: a fact that is known is not asked for again.
    const CALLS: &'static [Call<<Self::Handle as Handle>::Shape>];

    /// Starts the library and lists its devices.
    ///
    /// # Errors
    /// [`Refused`] when nothing can be asked.
    fn start(library: &Library) -> Result<Started<Self::Handle>, Refused>;

    /// The driver's version.
    fn version(_library: &Library, _started: &Started<Self::Handle>) -> Option<String> {
        None
    }

    /// What a table can not say: health, throttling, features.
    fn more(_library: &Library, _handle: Self::Handle, _facts: &mut Facts) {}

    /// Partitions of the device, which are devices of their own.
    fn parts(_library: &Library, _handle: Self::Handle) -> Vec<Self::Handle> {
        Vec::new()
    }

    /// Lets the library note what happens to these devices from now on, where it can.
    fn listen(_library: &Library, _started: &Started<Self::Handle>) -> Option<Listener<Self::Handle>> {
        None
    }

    /// Undoes [`Vendor::start`].
    fn stop(_library: &Library, _started: &Started<Self::Handle>) {}
}

/// What a library notes of its devices.
pub(crate) struct Listener<H> {
    /// Its own handle.
    pub(crate) set: Pointer,
    /// What happened next to which device; `None` when nothing more did. It does not wait.
    pub(crate) next: fn(&Library, Pointer) -> Option<Event<H>>,
    /// Lets go of the handle.
    pub(crate) close: fn(&Library, Pointer),
}

/// Something that happened to a device.
pub(crate) struct Event<H> {
    /// The device.
    pub(crate) handle: H,
    /// What it means for the device's state, and what to do; `None` when it is a program's matter.
    pub(crate) fault: Option<(HealthState, String)>,
}

/// Most devices of one library, and most partitions of one device. Boxes have up to 16.
pub(crate) const MAX_DEVICES: u32 = 64;

/// Calls `name(void)`.
///
/// # Safety
/// The library's function of that name takes no arguments and returns 32 bits.
pub(crate) unsafe fn plain(library: &Library, names: &[&'static str]) -> Result<(), Refused> {
    let (name, function) = library.need_one(names)?;
    // SAFETY: as the caller promises.
    check(name, unsafe { invoke!(function,) })
}

/// Calls `name(void)` and leaves its code: for the way out.
///
/// # Safety
/// As [`plain`].
pub(crate) unsafe fn leave(library: &Library, name: &'static str) {
    // SAFETY: as the caller promises. There is nothing to do about a library that does not stop.
    let _code = unsafe { plain(library, &[name]) };
}

/// The handles of `count(unsigned *)` devices from `handle(unsigned, H *)`.
///
/// # Safety
/// The library's functions of these names have these signatures, and any bits are a value of `H`.
pub(crate) unsafe fn indexed<H: Copy>(
    library: &Library,
    count: &[&'static str],
    handle: &[&'static str],
    none: H,
) -> Result<Handles<H>, Refused> {
    let (name, function) = library.need_one(count)?;
    let mut devices = 0_u32;
    let out: *mut c_void = (&raw mut devices).cast();
    // SAFETY: as the caller promises.
    check(name, unsafe { invoke!(function, out => *mut c_void) })?;
    let (name, function) = library.need_one(handle)?;
    let handles = (0..devices.min(MAX_DEVICES)).map(|index| {
        let mut handle = none;
        let out: *mut c_void = (&raw mut handle).cast();
        // SAFETY: as the caller promises.
        let code = unsafe { invoke!(function, index => u32, out => *mut c_void) };
        check(name, code).map(|()| handle)
    });
    Ok(handles.collect())
}

/// The number that `name(device, out)` answers.
///
/// # Safety
/// The library's function of that name has this signature and writes a `T`, of which any bits are a value.
pub(crate) unsafe fn ask<H: Copy, T: Copy + Default>(library: &Library, name: &str, handle: H) -> Option<T> {
    let function = library.symbol(name)?;
    let mut value = T::default();
    let out: *mut c_void = (&raw mut value).cast();
    // SAFETY: as the caller promises.
    let code = unsafe { invoke!(function, handle => H, out => *mut c_void) };
    (code == 0).then_some(value)
}
