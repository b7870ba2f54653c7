//! ROCm's management library. Its scalar getters only: structures of its successor `amdsmi` changed between releases.

use mains_contract::DeviceKind;

use crate::library::rocm_smi::Fork;
use crate::library::vendor::About;

/// AMD's own `librocm_smi64.so`.
pub(crate) struct Rocm;

impl Fork for Rocm {
    const ABOUT: About = About {
        pci_vendor: Some(0x1002),
        runtime: "rocm",
        ..About::new(
            "rocm_smi",
            "AMD",
            DeviceKind::Gpu,
            "ROCM_SMI",
            &[
                "$ROCM_PATH/lib/librocm_smi64.so",
                "librocm_smi64.so",
                "librocm_smi64.so.7",
                "/opt/rocm/lib/librocm_smi64.so",
            ],
        )
    };
}
