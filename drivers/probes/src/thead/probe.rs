//! hgml: identity, memory, power.

use mains_contract::DeviceKind;

use super::sys::CALLS;
use crate::library::call::{Call, Pointer, Shape};
use crate::library::facts::Facts;
use crate::library::nvml::{self, Family, Relative, codes};
use crate::library::open::Library;
use crate::library::vendor::About;

/// `libhgml.so`, which needs the symbols of `libuki.so`.
pub(crate) struct Hgml;

impl Relative for Hgml {
    const ABOUT: About = About {
        before: &["libuki.so"],
        not_supported: &[codes::NOT_SUPPORTED, codes::FUNCTION_NOT_FOUND],
        codes: &[(codes::NO_PERMISSION, "allow mains-worker to open /dev/alixpu*")],
        unverified: &["every fact of hgml, of which no header is public"],
        ..About::new("hgml", "T-Head", DeviceKind::Npu, "HGML", &["libhgml.so"])
    };

    const FAMILY: Family = Family {
        init: &[],
        init_with_flags: Some("hgmlInitWithFlags"),
        count: &["hgmlDeviceGetCount_v2"],
        handle: &["hgmlDeviceGetHandleByIndex_v2"],
        version: "hgmlSystemGetDriverVersion",
        shutdown: "hgmlShutdown",
    };

    const CALLS: &'static [Call<Shape>] = CALLS;

    fn more(library: &Library, device: Pointer, facts: &mut Facts) {
        nvml::compute_capability(library, "hgmlDeviceGetHggcComputeCapability", device, facts);
    }
}
