//! ixml: identity, memory, power, health.

use mains_contract::{DeviceKind, HealthState};

use super::sys::{CALLS, HEALTH};
use crate::library::call::{Call, Pointer, Shape};
use crate::library::facts::Facts;
use crate::library::nvml::{self, Family, Relative, codes};
use crate::library::open::Library;
use crate::library::vendor::{About, ask};

/// `libixml.so`.
pub(crate) struct Ixml;

impl Relative for Ixml {
    const ABOUT: About = About {
        not_supported: &[codes::NOT_SUPPORTED, codes::FUNCTION_NOT_FOUND],
        codes: &[
            (
                codes::NO_PERMISSION,
                "allow mains-worker to open /dev/iluvatar* and /dev/itrctl",
            ),
            (codes::DRIVER_NOT_LOADED, "run modprobe iluvatar"),
        ],
        runtime: "corex",
        ..About::new(
            "ixml",
            "Iluvatar",
            DeviceKind::Gpu,
            "IXML",
            &[
                "libixml.so",
                "/usr/local/corex/lib/libixml.so",
                "/usr/local/corex/lib64/libixml.so",
            ],
        )
    };

    const FAMILY: Family = Family {
        init: &["nvmlInit_v2"],
        init_with_flags: None,
        count: &["nvmlDeviceGetCount_v2"],
        handle: &["nvmlDeviceGetHandleByIndex_v2"],
        version: "nvmlSystemGetDriverVersion",
        shutdown: "nvmlShutdown",
    };

    const CALLS: &'static [Call<Shape>] = CALLS;

    fn more(library: &Library, device: Pointer, facts: &mut Facts) {
        nvml::compute_capability(library, "nvmlDeviceGetCudaComputeCapability", device, facts);
        // SAFETY: `ixmlDeviceGetHealth(nvmlDevice_t, unsigned long long *)`.
        let health = unsafe { ask::<_, u64>(library, "ixmlDeviceGetHealth", device) };
        for (_, reason) in HEALTH.iter().filter(|(bit, _)| health.unwrap_or(0) & bit != 0) {
            facts.ail(HealthState::Degraded, *reason);
        }
    }
}
