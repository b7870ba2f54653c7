//! What a source says of devices, on the wire.

use mains_contract::{
    Bytes, Device, DeviceKind, EccErrors, Health, HealthState, Link, Memory, ProbeReport, Problem, Runtime,
};
use serde::{Deserialize, Serialize};

use super::measured::DriverFactsWire;
use super::{FrameError, bounds};

#[derive(Debug, Serialize, Deserialize)]
pub struct ReportWire {
    devices: Vec<DeviceWire>,
    problems: Vec<ProblemWire>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ProblemWire {
    source: String,
    error: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct DeviceWire {
    id: String,
    vendor: Option<String>,
    name: String,
    kind: DeviceKindWire,
    pci: Option<String>,
    parent: Option<String>,
    memory: Option<MemoryWire>,
    runtime: Option<RuntimeWire>,
    sources: Vec<String>,
    usable_by: Vec<String>,
    unusable_because: Option<String>,
    features: Vec<String>,
    temperature_c: Option<f64>,
    power_w: Option<f64>,
    utilization: Option<f64>,
    health: HealthStateWire,
    health_reasons: Vec<String>,
    uuid: Option<String>,
    power_limit_w: Option<f64>,
    energy_j: Option<f64>,
    link: Option<LinkWire>,
    ecc: Option<EccErrorsWire>,
    throttle: Option<Vec<String>>,
    drivers: Vec<DriverFactsWire>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MemoryWire {
    total: u64,
    free: Option<u64>,
    shared: bool,
    host: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RuntimeWire {
    name: String,
    version: Option<String>,
}

impl From<ProbeReport> for ReportWire {
    fn from(report: ProbeReport) -> Self {
        let problems = report
            .problems
            .into_iter()
            .map(|Problem { source, error }| ProblemWire { source, error });
        Self {
            devices: report.devices.into_iter().map(Into::into).collect(),
            problems: problems.collect(),
        }
    }
}

impl TryFrom<ReportWire> for ProbeReport {
    type Error = FrameError;

    fn try_from(wire: ReportWire) -> Result<Self, FrameError> {
        Ok(Self {
            devices: bounds::list("report.devices", wire.devices, bounds::DEVICES, TryInto::try_into)?,
            problems: bounds::list(
                "report.problems",
                wire.problems,
                bounds::PROBLEMS,
                |ProblemWire { source, error }| {
                    Ok(Problem {
                        source: bounds::text("problem.source", source, bounds::NAME_BYTES)?,
                        error: bounds::text("problem.error", error, bounds::MESSAGE_BYTES)?,
                    })
                },
            )?,
        })
    }
}

impl From<Device> for DeviceWire {
    fn from(device: Device) -> Self {
        let memory = device.memory.map(
            |Memory {
                 total,
                 free,
                 shared,
                 host,
             }| MemoryWire {
                total: total.0,
                free: free.map(|free| free.0),
                shared,
                host: host.map(|host| host.0),
            },
        );
        let runtime = device
            .runtime
            .map(|Runtime { name, version }| RuntimeWire { name, version });
        Self {
            id: device.id,
            vendor: device.vendor,
            name: device.name,
            kind: device.kind.into(),
            pci: device.pci,
            parent: device.parent,
            memory,
            runtime,
            sources: device.sources,
            usable_by: device.usable_by,
            unusable_because: device.unusable_because,
            features: device.features,
            temperature_c: device.temperature_c,
            power_w: device.power_w,
            utilization: device.utilization,
            health: device.health.state.into(),
            health_reasons: device.health.reasons,
            uuid: device.uuid,
            power_limit_w: device.power_limit_w,
            energy_j: device.energy_j,
            link: device.link.map(Into::into),
            ecc: device.ecc.map(Into::into),
            throttle: device.throttle,
            drivers: device.drivers.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<MemoryWire> for Memory {
    fn from(
        MemoryWire {
            total,
            free,
            shared,
            host,
        }: MemoryWire,
    ) -> Self {
        Self {
            total: Bytes(total),
            free: free.map(Bytes),
            shared,
            host: host.map(Bytes),
        }
    }
}

impl TryFrom<RuntimeWire> for Runtime {
    type Error = FrameError;

    fn try_from(RuntimeWire { name, version }: RuntimeWire) -> Result<Self, FrameError> {
        Ok(Self {
            name: bounds::text("runtime.name", name, bounds::NAME_BYTES)?,
            version: bounds::optional_text("runtime.version", version, bounds::NAME_BYTES)?,
        })
    }
}

impl TryFrom<DeviceWire> for Device {
    type Error = FrameError;

    fn try_from(wire: DeviceWire) -> Result<Self, FrameError> {
        let name = |what, text| bounds::text(what, text, bounds::NAME_BYTES);
        let optional = |what, text| bounds::optional_text(what, text, bounds::NAME_BYTES);
        let words = |what, list| bounds::texts(what, list, bounds::DEVICE_WORDS, bounds::NAME_BYTES);
        let because = wire.unusable_because;
        Ok(Self {
            id: name("device.id", wire.id)?,
            vendor: optional("device.vendor", wire.vendor)?,
            name: name("device.name", wire.name)?,
            kind: wire.kind.into(),
            pci: optional("device.pci", wire.pci)?,
            parent: optional("device.parent", wire.parent)?,
            memory: wire.memory.map(Into::into),
            runtime: wire.runtime.map(TryInto::try_into).transpose()?,
            sources: words("device.sources", wire.sources)?,
            usable_by: words("device.usable_by", wire.usable_by)?,
            unusable_because: bounds::optional_text(
                "device.unusable_because",
                because,
                bounds::MESSAGE_BYTES,
            )?,
            drivers: bounds::list("device.drivers", wire.drivers, bounds::DRIVERS, TryInto::try_into)?,
            // A probe measures nothing; the daemon knows what was.
            measured: None,
            features: bounds::texts(
                "device.features",
                wire.features,
                bounds::FEATURES,
                bounds::NAME_BYTES,
            )?,
            temperature_c: bounds::optional_finite("device.temperature_c", wire.temperature_c)?,
            power_w: bounds::optional_finite("device.power_w", wire.power_w)?,
            utilization: bounds::optional_finite("device.utilization", wire.utilization)?,
            uuid: optional("device.uuid", wire.uuid)?,
            power_limit_w: bounds::optional_finite("device.power_limit_w", wire.power_limit_w)?,
            energy_j: bounds::optional_finite("device.energy_j", wire.energy_j)?,
            link: wire.link.map(Into::into),
            ecc: wire.ecc.map(Into::into),
            throttle: wire
                .throttle
                .map(|reasons| words("device.throttle", reasons))
                .transpose()?,
            health: Health {
                state: wire.health.into(),
                reasons: bounds::texts(
                    "health.reasons",
                    wire.health_reasons,
                    bounds::DEVICE_WORDS,
                    bounds::MESSAGE_BYTES,
                )?,
            },
        })
    }
}

/// One list of fields for both directions, of a structure whose fields are the same on the wire.
macro_rules! mirror_fields {
    ($wire:ident, $noun:ident, $($field:ident: $kind:ty),+) => {
        #[derive(Debug, Serialize, Deserialize)]
        struct $wire { $($field: $kind),+ }

        impl From<$noun> for $wire {
            fn from(noun: $noun) -> Self {
                Self { $($field: noun.$field),+ }
            }
        }

        impl From<$wire> for $noun {
            fn from(wire: $wire) -> Self {
                Self { $($field: wire.$field),+ }
            }
        }
    };
}

mirror_fields!(LinkWire, Link, generation: Option<u32>, width: Option<u32>, max_generation: Option<u32>, max_width: Option<u32>);
mirror_fields!(EccErrorsWire, EccErrors, corrected: Option<u64>, uncorrected: Option<u64>);

/// One table for both directions, so that none can be forgotten in one of them.
macro_rules! mirror {
    ($wire:ident, $noun:ident, $($variant:ident),+) => {
        #[derive(Debug, Serialize, Deserialize)]
        enum $wire { $($variant),+ }

        impl From<$noun> for $wire {
            fn from(noun: $noun) -> Self {
                match noun { $($noun::$variant => Self::$variant),+ }
            }
        }

        impl From<$wire> for $noun {
            fn from(wire: $wire) -> Self {
                match wire { $($wire::$variant => Self::$variant),+ }
            }
        }
    };
}

mirror!(DeviceKindWire, DeviceKind, Cpu, Gpu, IntegratedGpu, Npu, Software);
mirror!(HealthStateWire, HealthState, Ok, Degraded, Failed, Lost);
