//! What was measured of a device over time (`GET /v1/devices?history=N`). Fields are absent when unknown, never 0.

use serde::{Deserialize, Serialize};

use super::devices_body::{EccErrorsBody, LinkBody};

/// One reading of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleBody {
    /// When, RFC 3339.
    pub at: String,
    /// `ok`, `degraded`, `failed` or `lost`.
    pub state: String,
    /// Degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
    /// Watts drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
    /// Joules drawn since its driver was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<f64>,
    /// Share that was busy, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilization: Option<f64>,
    /// Memory that was free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Whether anything held its clocks down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<bool>,
    /// Errors of its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecc: Option<EccErrorsBody>,
    /// PCI Express link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkBody>,
}
