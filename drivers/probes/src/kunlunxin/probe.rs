//! XPUML: identity and memory.

use mains_contract::DeviceKind;

use super::sys::CALLS;
use crate::library::call::{Call, Shape};
use crate::library::nvml::{Family, Relative, codes};
use crate::library::vendor::About;

/// `libxpuml.so`.
pub(crate) struct Xpuml;

impl Relative for Xpuml {
    const ABOUT: About = About {
        not_supported: &[codes::NOT_SUPPORTED, codes::FUNCTION_NOT_FOUND],
        codes: &[(codes::NO_PERMISSION, "allow mains-worker to open /dev/xpu*")],
        unverified: &["the temperature's unit, and every fact of XPUML in releases after 2022"],
        ..About::new("xpuml", "Kunlunxin", DeviceKind::Npu, "XPUML", &["libxpuml.so"])
    };

    const FAMILY: Family = Family {
        init: &["xpumlInit"],
        init_with_flags: None,
        count: &["xpumlDeviceGetCount"],
        handle: &["xpumlDeviceGetHandleByIndex"],
        version: "xpumlSystemGetDriverVersion",
        shutdown: "xpumlShutdown",
    };

    const CALLS: &'static [Call<Shape>] = CALLS;
}
