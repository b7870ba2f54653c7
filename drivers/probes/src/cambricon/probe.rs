//! CNDev: identity, memory, power, health.

use mains_contract::{DeviceKind, HealthState};

use super::load::{self, WRONG_VERSION};
use super::sys::CALLS;
use crate::library::call::{Call, Shape};
use crate::library::facts::{Facts, Word};
use crate::library::open::{Library, Refused};
use crate::library::vendor::{About, Started, Vendor};

/// `libcndev.so`.
pub(crate) struct Cndev;

impl Vendor for Cndev {
    type Handle = i32;

    const ABOUT: About = About {
        no_device: &[12],
        not_supported: &[10, WRONG_VERSION],
        codes: &[
            (
                1,
                "the kernel module is not loaded: install Cambricon's driver and run modprobe cambricon",
            ),
            (
                WRONG_VERSION,
                "the driver is older than version 5 of CNDev: update it",
            ),
            (13, "allow mains-worker to open /dev/cambricon*"),
        ],
        ..About::new(
            "cndev",
            "Cambricon",
            DeviceKind::Npu,
            "CNDEV",
            &[
                "libcndev.so",
                "$NEUWARE_HOME/lib64/libcndev.so",
                "/usr/local/neuware/lib64/libcndev.so",
                "/usr/local/neuware/lib/libcndev.so",
            ],
        )
    };

    const CALLS: &'static [Call<Shape>] = CALLS;

    fn start(library: &Library) -> Result<Started<i32>, Refused> {
        load::start(library)
    }

    fn more(library: &Library, device: i32, facts: &mut Facts) {
        if let Some(name) = load::name(library, device) {
            facts.set_word(Word::Name, &name);
        }
        if load::is_well(library, device) == Some(false) {
            facts.ail(
                HealthState::Degraded,
                "the driver reports that it is not well: cnmon tells what it is",
            );
        }
    }

    fn stop(library: &Library, _started: &Started<i32>) {
        load::stop(library);
    }
}
