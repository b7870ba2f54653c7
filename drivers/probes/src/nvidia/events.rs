//! What NVIDIA's driver notes of its cards while somebody listens (`nvml.h`, section "Event Handling Methods").

use std::ptr::null_mut;

use super::sys::{EventData, XID};
use super::xid;
use crate::library::call::{Pointer, invoke};
use crate::library::open::Library;
use crate::library::vendor::{Event, Listener, Started};

/// Listens for errors of every card; `None` when the library or no card can tell.
pub(super) fn listen(library: &Library, started: &Started<Pointer>) -> Option<Listener<Pointer>> {
    let create = library.symbol("nvmlEventSetCreate")?;
    let register = library.symbol("nvmlDeviceRegisterEvents")?;
    let mut set: Pointer = null_mut();
    // SAFETY: `(nvmlEventSet_t *)`, an opaque pointer.
    let code = unsafe { invoke!(create, &raw mut set => *mut Pointer) };
    if code != 0 || set.is_null() {
        return None;
    }
    let mut heard = false;
    for device in started.handles.iter().flatten() {
        // SAFETY: `(nvmlDevice_t, unsigned long long, nvmlEventSet_t)`.
        let code = unsafe { invoke!(register, *device => Pointer, XID => u64, set => Pointer) };
        // A card that tells no events is one that is only read.
        heard |= code == 0;
    }
    if !heard {
        close(library, set);
        return None;
    }
    Some(Listener { set, next, close })
}

fn next(library: &Library, set: Pointer) -> Option<Event<Pointer>> {
    let names = ["nvmlEventSetWait_v2", "nvmlEventSetWait"];
    let (_, wait) = library.need_one(&names).ok()?;
    let mut event = EventData {
        device: null_mut(),
        kind: 0,
        data: 0,
        gpu_instance: 0,
        compute_instance: 0,
    };
    // SAFETY: both names are `(nvmlEventSet_t, nvmlEventData_t *, unsigned milliseconds)`, and a time of 0 does not wait. The
    // older one writes a shorter structure.
    let code = unsafe { invoke!(wait, set => Pointer, &raw mut event => *mut EventData, 0 => u32) };
    (code == 0).then(|| Event {
        handle: event.device,
        fault: (event.kind == XID).then(|| xid::meaning(event.data)).flatten(),
    })
}

fn close(library: &Library, set: Pointer) {
    if let Some(free) = library.symbol("nvmlEventSetFree") {
        // SAFETY: `(nvmlEventSet_t)`; the set is not used any more. What it returns changes nothing.
        let _code = unsafe { invoke!(free, set => Pointer) };
    }
}
