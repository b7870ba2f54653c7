//! EFML: identity, memory, power.

use mains_contract::DeviceKind;

use super::sys::CALLS;
use crate::library::call::{Call, Shape};
use crate::library::nvml::{Family, Relative, codes};
use crate::library::vendor::About;

/// `libefml.so`.
pub(crate) struct Efml;

impl Relative for Efml {
    const ABOUT: About = About {
        not_supported: &[codes::NOT_SUPPORTED, codes::FUNCTION_NOT_FOUND],
        codes: &[(codes::NO_PERMISSION, "allow mains-worker to open /dev/gcu*")],
        ..About::new(
            "efml",
            "Enflame",
            DeviceKind::Npu,
            "EFML",
            &[
                "libefml.so",
                "libefml.so.1",
                "libefml.so.2",
                "/usr/lib/libefml.so",
                "/usr/lib64/libefml.so",
                "/usr/lib/x86_64-linux-gnu/libefml.so",
            ],
        )
    };

    const FAMILY: Family = Family {
        init: &["efmlInit_v2"],
        init_with_flags: None,
        count: &["efmlDeviceGetCount_v2"],
        handle: &["efmlDeviceGetHandleByIndex_v2"],
        version: "efmlSystemGetDriverVersion",
        shutdown: "efmlShutdown",
    };

    const CALLS: &'static [Call<Shape>] = CALLS;
}
