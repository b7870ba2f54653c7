//! BRML: identity, memory, power.

use mains_contract::DeviceKind;

use super::sys::CALLS;
use crate::library::call::{Call, Shape};
use crate::library::nvml::{Family, Relative, codes};
use crate::library::vendor::About;

/// `libbiren-ml.so.1`.
pub(crate) struct Brml;

impl Relative for Brml {
    const ABOUT: About = About {
        not_supported: &[codes::NOT_SUPPORTED, codes::FUNCTION_NOT_FOUND],
        codes: &[(codes::NO_PERMISSION, "allow mains-worker to open /dev/biren*")],
        unverified: &["the PCI id, and every fact of BRML in releases after 2024"],
        ..About::new("brml", "Biren", DeviceKind::Gpu, "BRML", &["libbiren-ml.so.1"])
    };

    const FAMILY: Family = Family {
        init: &["brmlInit"],
        init_with_flags: None,
        count: &["brmlDeviceGetCount"],
        handle: &["brmlDeviceGetHandleByIndex"],
        version: "brmlSystemGetDriverVersion",
        shutdown: "brmlShutdown",
    };

    const CALLS: &'static [Call<Shape>] = CALLS;
}
