//! `GET /v1/devices` (`?refresh=true` asks the probes again). Fields are absent when unknown, never 0.

use mains_contract::{Device, EccErrors, Inventory, Link};
use serde::{Deserialize, Serialize};

use super::SampleBody;
use super::measured_body::{DriverBody, MeasuredBody};

/// The devices of the box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DevicesBody {
    /// One entry a device, the CPU first.
    pub devices: Vec<DeviceBody>,
    /// Sources that could not be asked.
    pub problems: Vec<ProblemBody>,
    /// When the last source answered, RFC 3339.
    pub probed_at: String,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceBody {
    /// Stable over reboots.
    pub id: String,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The maker's name for it.
    pub name: String,
    /// `cpu`, `gpu`, `igpu`, `npu` or `software`.
    pub kind: String,
    /// PCI address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pci: Option<String>,
    /// The maker's identity of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The device that this one is a partition of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryBody>,
    /// The maker's software that drives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeBody>,
    /// Probes that saw it.
    pub sources: Vec<String>,
    /// Drivers of ours that compute on it.
    pub usable_by: Vec<String>,
    /// When none does: what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable_because: Option<String>,
    /// What the allocations and the speed of those drivers depend on here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drivers: Vec<DriverBody>,
    /// How fast one of them was measured to be, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<MeasuredBody>,
    /// Instruction sets and extensions.
    pub features: Vec<String>,
    /// Degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
    /// Watts drawn now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
    /// Watts that it may draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_limit_w: Option<f64>,
    /// Joules drawn since its driver was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<f64>,
    /// Share that is busy, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilization: Option<f64>,
    /// PCI Express link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkBody>,
    /// Errors of its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecc: Option<EccErrorsBody>,
    /// Why its clocks are held down; empty when they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Vec<String>>,
    /// Its state.
    pub health: HealthBody,
    /// What was measured of it, the oldest first; when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<SampleBody>>,
}

/// A device's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryBody {
    /// All that a process may ever use.
    pub total_bytes: u64,
    /// What is free now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Whether the host's processes use the same memory.
    pub shared: bool,
    /// The part of the total that is the host's own memory and is counted for the CPU too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_bytes: Option<u64>,
}

/// A PCI Express link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkBody {
    /// Generation now; idle cards lower it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Lanes now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Highest generation of card and slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_generation: Option<u32>,
    /// Most lanes of card and slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_width: Option<u32>,
}

/// Errors of a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EccErrorsBody {
    /// Repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<u64>,
    /// Not repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncorrected: Option<u64>,
}

/// A maker's runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeBody {
    /// Such as `vulkan`.
    pub name: String,
    /// As the maker prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A device's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthBody {
    /// `ok`, `degraded`, `failed` or `lost`.
    pub state: String,
    /// Why it is not `ok`.
    pub reasons: Vec<String>,
}

/// A source that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemBody {
    /// The probe.
    pub source: String,
    /// What went wrong.
    pub error: String,
}

impl DevicesBody {
    /// The shape of `inventory`, whose time the caller has written as RFC 3339.
    #[must_use]
    pub fn new(inventory: &Inventory, probed_at: String) -> Self {
        Self {
            devices: inventory.devices.iter().map(DeviceBody::from).collect(),
            problems: inventory
                .problems
                .iter()
                .map(|problem| ProblemBody {
                    source: problem.source.clone(),
                    error: problem.error.clone(),
                })
                .collect(),
            probed_at,
        }
    }
}

impl From<&Device> for DeviceBody {
    fn from(device: &Device) -> Self {
        Self {
            id: device.id.clone(),
            vendor: device.vendor.clone(),
            name: device.name.clone(),
            kind: device.kind.name().to_owned(),
            pci: device.pci.clone(),
            uuid: device.uuid.clone(),
            parent: device.parent.clone(),
            memory: device.memory.map(|memory| MemoryBody {
                total_bytes: memory.total.0,
                free_bytes: memory.free.map(|free| free.0),
                shared: memory.shared,
                host_bytes: memory.host.map(|host| host.0),
            }),
            runtime: device.runtime.as_ref().map(|runtime| RuntimeBody {
                name: runtime.name.clone(),
                version: runtime.version.clone(),
            }),
            sources: device.sources.clone(),
            usable_by: device.usable_by.clone(),
            unusable_because: device.unusable_because.clone(),
            drivers: device.drivers.iter().map(Into::into).collect(),
            measured: device.measured.as_ref().map(Into::into),
            features: device.features.clone(),
            temperature_c: device.temperature_c,
            power_w: device.power_w,
            power_limit_w: device.power_limit_w,
            energy_j: device.energy_j,
            utilization: device.utilization,
            link: device.link.map(Into::into),
            ecc: device.ecc.map(Into::into),
            throttle: device.throttle.clone(),
            health: HealthBody {
                state: device.health.state.name().to_owned(),
                reasons: device.health.reasons.clone(),
            },
            history: None,
        }
    }
}

impl From<Link> for LinkBody {
    fn from(link: Link) -> Self {
        Self {
            generation: link.generation,
            width: link.width,
            max_generation: link.max_generation,
            max_width: link.max_width,
        }
    }
}

impl From<EccErrors> for EccErrorsBody {
    fn from(errors: EccErrors) -> Self {
        Self {
            corrected: errors.corrected,
            uncorrected: errors.uncorrected,
        }
    }
}
