//! mxSml: identity, memory, power.

use mains_contract::DeviceKind;

use super::load;
use super::sys::CALLS;
use crate::library::call::{Call, Shape};
use crate::library::facts::{Fact, Facts};
use crate::library::layout::MILLI;
use crate::library::open::{Library, Refused};
use crate::library::vendor::{About, Started, Vendor};

/// `libmxsml.so`.
pub(crate) struct Mxsml;

impl Vendor for Mxsml {
    type Handle = u32;

    const ABOUT: About = About {
        no_device: &[2],
        not_supported: &[3],
        codes: &[(8, "allow mains-worker to open /dev/mxcd and /dev/dri/*")],
        runtime: "maca",
        unverified: &["every fact of mxSml, of which only bindings are public"],
        ..About::new(
            "mxsml",
            "MetaX",
            DeviceKind::Gpu,
            "MXSML",
            &[
                "/opt/mxdriver/lib/libmxsml.so",
                "/opt/maca/lib/libmxsml.so",
                "/opt/mxn100/lib/libmxsml.so",
                "libmxsml.so",
            ],
        )
    };

    const CALLS: &'static [Call<Shape>] = CALLS;

    fn start(library: &Library) -> Result<Started<u32>, Refused> {
        load::start(library)
    }

    fn version(library: &Library, _started: &Started<u32>) -> Option<String> {
        load::version(library)
    }

    fn more(library: &Library, device: u32, facts: &mut Facts) {
        if let Some(milliwatts) = load::power(library, device) {
            // A sum that can not be is left out.
            let _unknown = facts.set(Fact::Power, milliwatts * MILLI);
        }
    }
}
