//! Devices as a probe finds them. A field that is not known is absent, never 0.

use std::time::SystemTime;

use crate::{Bytes, DriverFacts, Measured};

/// Everything that was found in the box, and what could not be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// One entry a device, in a stable order: the CPU first.
    pub devices: Vec<Device>,
    /// Sources that failed: each costs its own facts and nothing else.
    pub problems: Vec<Problem>,
    /// When the last source answered.
    pub probed_at: SystemTime,
}

/// One accelerator or the CPU, with its own memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Stable over reboots: `cpu`, or the PCI address or UUID behind the kind.
    pub id: String,
    /// Who made it.
    pub vendor: Option<String>,
    /// The maker's name for it.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// PCI address, `dddd:bb:dd.f`.
    pub pci: Option<String>,
    /// The maker's identity of it, as its library writes it.
    pub uuid: Option<String>,
    /// The device that this one is a partition of.
    pub parent: Option<String>,
    /// Its memory.
    pub memory: Option<Memory>,
    /// The maker's software that drives it.
    pub runtime: Option<Runtime>,
    /// Probes that saw it.
    pub sources: Vec<String>,
    /// Our drivers that can compute on it.
    pub usable_by: Vec<String>,
    /// When none can: an instruction to whoever administers the box.
    pub unusable_because: Option<String>,
    /// What the allocations and the speed of those drivers depend on here.
    pub drivers: Vec<DriverFacts>,
    /// How fast one of them was measured to be.
    pub measured: Option<Measured>,
    /// Instruction sets and extensions that drivers pick kernels by.
    pub features: Vec<String>,
    /// Degrees Celsius.
    pub temperature_c: Option<f64>,
    /// Watts drawn now.
    pub power_w: Option<f64>,
    /// Watts that it may draw at most, as it is configured.
    pub power_limit_w: Option<f64>,
    /// Joules drawn since its driver was loaded.
    pub energy_j: Option<f64>,
    /// Share of the device that is busy, 0 to 1.
    pub utilization: Option<f64>,
    /// Its PCI Express link.
    pub link: Option<Link>,
    /// Errors of its memory.
    pub ecc: Option<EccErrors>,
    /// Why its clocks are held down now, in plain words; empty when they are not.
    pub throttle: Option<Vec<String>>,
    /// Its state, in plain words.
    pub health: Health,
}

impl Device {
    /// A device of which only its name is known: everything else is absent or empty, its health is ok.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>, kind: DeviceKind) -> Self {
        Self {
            id: id.into(),
            vendor: None,
            name: name.into(),
            kind,
            pci: None,
            uuid: None,
            parent: None,
            memory: None,
            runtime: None,
            sources: Vec::new(),
            usable_by: Vec::new(),
            unusable_because: None,
            drivers: Vec::new(),
            measured: None,
            features: Vec::new(),
            temperature_c: None,
            power_w: None,
            power_limit_w: None,
            energy_j: None,
            utilization: None,
            link: None,
            ecc: None,
            throttle: None,
            health: Health::ok(),
        }
    }
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// The host's processors.
    Cpu,
    /// A graphics card with memory of its own.
    Gpu,
    /// Graphics that share the host's memory.
    IntegratedGpu,
    /// A neural processor.
    Npu,
    /// A device that a program imitates on the CPU.
    Software,
}

impl DeviceKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Cpu,
        Self::Gpu,
        Self::IntegratedGpu,
        Self::Npu,
        Self::Software,
    ];

    /// The kind called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The short name that tables and JSON carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::IntegratedGpu => "igpu",
            Self::Npu => "npu",
            Self::Software => "software",
        }
    }
}

/// A device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All of it that this process may ever use (a cgroup's limit counts).
    pub total: Bytes,
    /// What is free now.
    pub free: Option<Bytes>,
    /// Whether the host's processes use the same memory.
    pub shared: bool,
    /// The part of `total` that is the host's own memory, which the CPU's device counts as well; the rest belongs to the
    /// device (a card's memory, an integrated device's carve-out). Absent when it is not told apart.
    pub host: Option<Bytes>,
}

/// A PCI Express link, now and at its best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Generation now. Cards lower it when they are idle.
    pub generation: Option<u32>,
    /// Lanes now.
    pub width: Option<u32>,
    /// The highest generation that card and slot both have.
    pub max_generation: Option<u32>,
    /// The most lanes that card and slot both have.
    pub max_width: Option<u32>,
}

/// Errors of a device's memory since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EccErrors {
    /// Repaired on the way.
    pub corrected: Option<u64>,
    /// Data was lost.
    pub uncorrected: Option<u64>,
}

/// A maker's runtime and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// Such as `vulkan` or `linux`.
    pub name: String,
    /// As the maker prints it.
    pub version: Option<String>,
}

/// State of a device with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The state.
    pub state: HealthState,
    /// Why it is not `Ok`.
    pub reasons: Vec<String>,
}

impl Health {
    /// A healthy device.
    #[must_use]
    pub const fn ok() -> Self {
        Self {
            state: HealthState::Ok,
            reasons: Vec::new(),
        }
    }
}

/// States of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HealthState {
    /// Nothing is known to be wrong.
    Ok,
    /// It works, less than it should.
    Degraded,
    /// It is there and does not work.
    Failed,
    /// It was there and is gone.
    Lost,
}

impl HealthState {
    /// Every state, the worse the later.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Degraded, Self::Failed, Self::Lost];

    /// The state called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Worse states are greater.
    #[must_use]
    pub const fn severity(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Degraded => 1,
            Self::Failed => 2,
            Self::Lost => 3,
        }
    }

    /// The short name that tables and JSON carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// A source that could not be asked, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The probe's name.
    pub source: String,
    /// What went wrong, in plain words.
    pub error: String,
}
