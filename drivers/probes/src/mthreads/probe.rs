//! MTML: identity, memory, power.

use mains_contract::DeviceKind;

use super::load::{self, long, release, short, with_part};
use super::sys::CALLS;
use crate::library::call::{Call, Pointer, Shape};
use crate::library::facts::{Fact, Facts};
use crate::library::layout::CENTI;
use crate::library::open::{Library, Refused};
use crate::library::vendor::{About, Started, Vendor};

/// `libmtml.so`.
pub(crate) struct Mtml;

impl Vendor for Mtml {
    type Handle = Pointer;

    const ABOUT: About = About {
        // MTML_ERROR_NOT_FOUND.
        no_device: &[7],
        not_supported: &[4],
        codes: &[
            (1, "the kernel module is not loaded: run modprobe mtgpu"),
            (5, "allow mains-worker to open /dev/mtgpu* and /dev/dri/*"),
        ],
        runtime: "musa",
        ..About::new(
            "mtml",
            "Moore Threads",
            DeviceKind::Gpu,
            "MTML",
            &["libmtml.so.2", "libmtml.so"],
        )
    };

    const CALLS: &'static [Call<Shape>] = CALLS;

    fn start(library: &Library) -> Result<Started<Pointer>, Refused> {
        load::start(library)
    }

    fn version(library: &Library, started: &Started<Pointer>) -> Option<String> {
        load::version(library, started.session)
    }

    fn more(library: &Library, device: Pointer, facts: &mut Facts) {
        let memory = with_part(
            library,
            ["mtmlDeviceInitMemory", "mtmlDeviceFreeMemory"],
            device,
            |memory| {
                [
                    (Fact::MemoryTotal, long(library, "mtmlMemoryGetTotal", memory)),
                    (Fact::MemoryUsed, long(library, "mtmlMemoryGetUsed", memory)),
                ]
            },
        );
        let gpu = with_part(
            library,
            ["mtmlDeviceInitGpu", "mtmlDeviceFreeGpu"],
            device,
            |gpu| {
                let percent = short(library, "mtmlGpuGetUtilization", gpu);
                [
                    (Fact::Utilization, percent.map(|percent| percent * CENTI)),
                    (Fact::Temperature, short(library, "mtmlGpuGetTemperature", gpu)),
                ]
            },
        );
        for (fact, value) in memory.into_iter().chain(gpu).flatten() {
            // A reading that can not be is left out.
            let _unknown = value.map(|value| facts.set(fact, value));
        }
    }

    fn stop(library: &Library, started: &Started<Pointer>) {
        for device in started.handles.iter().flatten() {
            release(library, "mtmlLibraryFreeDevice", *device);
        }
        release(library, "mtmlLibraryShutDown", started.session);
    }
}
