//! NVML: identity, memory, power, health.

use mains_contract::{DeviceKind, HealthState};

use super::sys::{CALLS, CLOCK_REASONS, RemappedRows};
use super::{events, load};
use crate::library::call::{Call, Pointer, Shape};
use crate::library::facts::Facts;
use crate::library::nvml::{self, Family, Relative, codes};
use crate::library::open::Library;
use crate::library::vendor::{About, Listener, Started};

/// NVIDIA's management library.
pub(crate) struct Nvml;

impl Relative for Nvml {
    const ABOUT: About = About {
        // NVML_ERROR_NOT_FOUND.
        no_device: &[6],
        not_supported: &[codes::NOT_SUPPORTED, codes::FUNCTION_NOT_FOUND],
        lost: &[codes::LOST],
        codes: &[
            (codes::NO_PERMISSION, "allow mains-worker to open /dev/nvidia*"),
            (
                codes::DRIVER_NOT_LOADED,
                "the kernel module is not loaded: run modprobe nvidia, or reinstall the driver for this kernel",
            ),
            (
                codes::LOST,
                "the card fell off the bus: look for Xid in dmesg, then restart the machine",
            ),
            (16, "the card must be reset: nvidia-smi --gpu-reset"),
            (
                18,
                "library and kernel module have different versions: restart after the driver's update",
            ),
        ],
        runtime: "nvidia",
        ..About::new(
            "nvml",
            "NVIDIA",
            DeviceKind::Gpu,
            "NVML",
            &["libnvidia-ml.so.1", "libnvidia-ml.so"],
        )
    };

    const FAMILY: Family = Family {
        init: &["nvmlInit_v2", "nvmlInit"],
        init_with_flags: None,
        count: &["nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"],
        handle: &["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"],
        version: "nvmlSystemGetDriverVersion",
        shutdown: "nvmlShutdown",
    };

    const CALLS: &'static [Call<Shape>] = CALLS;

    fn more(library: &Library, device: Pointer, facts: &mut Facts) {
        nvml::compute_capability(library, "nvmlDeviceGetCudaComputeCapability", device, facts);
        if let Some(mask) = load::clock_reasons(library, device) {
            judge_clocks(mask, facts);
        }
        judge_rows(load::remapped_rows(library, device).unwrap_or_default(), facts);
        if load::retirement_pends(library, device) {
            facts.ail(
                HealthState::Degraded,
                "pages of its memory wait to be retired: restart the machine",
            );
        }
    }

    fn parts(library: &Library, device: Pointer) -> Vec<Pointer> {
        load::mig_instances(library, device)
    }

    fn listen(library: &Library, started: &Started<Pointer>) -> Option<Listener<Pointer>> {
        events::listen(library, started)
    }
}

fn judge_clocks(mask: u64, facts: &mut Facts) {
    let mut reasons = Vec::new();
    for (_, reason, unwell) in CLOCK_REASONS.iter().filter(|(bit, ..)| mask & bit != 0) {
        reasons.push((*reason).to_owned());
        if *unwell {
            facts.ail(HealthState::Degraded, format!("slowed down by {reason}"));
        }
    }
    facts.throttle = Some(reasons);
}

fn judge_rows(rows: RemappedRows, facts: &mut Facts) {
    if rows.pending != 0 {
        facts.ail(
            HealthState::Degraded,
            "rows of its memory wait to be remapped: reset the card (nvidia-smi --gpu-reset) or restart",
        );
    }
    if rows.failed != 0 {
        facts.ail(
            HealthState::Failed,
            format!(
                "a row of its memory could not be remapped ({} corrected, {} uncorrected before): replace the card",
                rows.corrected, rows.uncorrected
            ),
        );
    }
}
