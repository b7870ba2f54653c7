//! Where Hygon's fork lies. Its functions are ROCm's; `libhydmi.so` is left alone, whose start no public source names.

use mains_contract::DeviceKind;

use crate::library::rocm_smi::Fork;
use crate::library::vendor::About;

/// Hygon's `librocm_smi64.so`, opened only where a DCU is: AMD's has the same name.
pub(crate) struct Dcu;

impl Fork for Dcu {
    const ABOUT: About = About {
        pci_vendor: Some(0x1d94),
        runtime: "dtk",
        ..About::new(
            "hygon",
            "Hygon",
            DeviceKind::Gpu,
            "ROCM_SMI",
            &[
                "$ROCM_SMI_LIB_PATH/librocm_smi64.so",
                "/opt/hyhal/lib/librocm_smi64.so",
                "$ROCM_PATH/rocm_smi/lib/librocm_smi64.so",
                "/opt/dtk/.hyhal/rocm_smi/lib/librocm_smi64.so",
            ],
        )
    };
}
