//! What hgml has beyond the family's common calls, as gpustack's binding has it.

use crate::library::call::{Call, Shape};
use crate::library::nvml::family_calls;

/// Every question about a device.
pub(super) const CALLS: &[Call<Shape>] = family_calls!("hgml";
    call!(["hgmlDeviceGetTotalEnergyConsumption"], Shape::Out, scalar!(U64, Energy, MILLI)),
    call!(["hgmlDeviceGetEnforcedPowerLimit"], Shape::Out, scalar!(U32, PowerLimit, MILLI)),
);
