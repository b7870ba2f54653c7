//! Devices in `/metrics`. A number that is not known has no line.

use mains_contract::{Device, HealthState, Inventory};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

type Number = Gauge<f64, std::sync::atomic::AtomicU64>;
type Sum = Counter<f64, std::sync::atomic::AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeviceLabels {
    device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    device: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    device: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

/// A gauge: its name and help, its unit, and what of a device it is.
type Row = (
    &'static str,
    &'static str,
    Option<Unit>,
    fn(&Device) -> Option<f64>,
);

const GAUGES: [Row; 9] = [
    (
        "device_temperature",
        "Temperature of a device",
        Some(Unit::Celsius),
        |device| device.temperature_c,
    ),
    (
        "device_power_watts",
        "Power that a device draws",
        None,
        |device| device.power_w,
    ),
    (
        "device_power_limit_watts",
        "Power that a device may draw",
        None,
        |device| device.power_limit_w,
    ),
    (
        "device_utilization",
        "Share of a device that is busy",
        Some(Unit::Ratios),
        |device| device.utilization,
    ),
    (
        "device_memory",
        "Memory of a device",
        Some(Unit::Bytes),
        |device| device.memory.map(|memory| memory.total.0 as f64),
    ),
    (
        "device_memory_free",
        "Memory of a device that is free",
        Some(Unit::Bytes),
        |device| device.memory?.free.map(|free| free.0 as f64),
    ),
    (
        "device_throttled",
        "1 while something holds a device's clocks down",
        None,
        |device| {
            device
                .throttle
                .as_ref()
                .map(|reasons| f64::from(u8::from(!reasons.is_empty())))
        },
    ),
    (
        "device_link_lanes",
        "Lanes of a device's PCI Express link",
        None,
        |device| device.link?.width.map(f64::from),
    ),
    (
        "device_link_generation",
        "Generation of a device's PCI Express link",
        None,
        |device| device.link?.generation.map(f64::from),
    ),
];

const STATES: [HealthState; 4] = [
    HealthState::Ok,
    HealthState::Degraded,
    HealthState::Failed,
    HealthState::Lost,
];

/// Registers what is known of `inventory`.
pub(crate) fn register(registry: &mut Registry, inventory: &Inventory) {
    for (name, help, unit, of) in GAUGES {
        let family = Family::<DeviceLabels, Number>::default();
        for device in &inventory.devices {
            if let Some(value) = of(device) {
                family.get_or_create(&labels(device)).set(value);
            }
        }
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, family),
            None => registry.register(name, help, family),
        }
    }
    register_counters(registry, inventory);
    register_states(registry, inventory);
}

fn register_counters(registry: &mut Registry, inventory: &Inventory) {
    let energy = Family::<DeviceLabels, Sum>::default();
    let errors = Family::<ErrorLabels, Counter>::default();
    for device in &inventory.devices {
        if let Some(joules) = device.energy_j {
            energy.get_or_create(&labels(device)).inc_by(joules);
        }
        let Some(ecc) = device.ecc else { continue };
        for (kind, count) in [("corrected", ecc.corrected), ("uncorrected", ecc.uncorrected)] {
            if let Some(count) = count {
                let device = device.id.clone();
                errors.get_or_create(&ErrorLabels { device, kind }).inc_by(count);
            }
        }
    }
    registry.register_with_unit("device_energy", "Energy that a device drew", Unit::Joules, energy);
    registry.register("device_memory_errors", "Errors of a device's memory", errors);
}

fn register_states(registry: &mut Registry, inventory: &Inventory) {
    let health = Family::<StateLabels, Gauge>::default();
    for device in &inventory.devices {
        for state in STATES {
            let labels = StateLabels {
                device: device.id.clone(),
                state: state.name(),
            };
            health
                .get_or_create(&labels)
                .set(i64::from(state == device.health.state));
        }
    }
    registry.register(
        "device_health",
        "1 for the state that a device is in, 0 for the others",
        health,
    );
    let problems = Family::<SourceLabels, Gauge>::default();
    for problem in &inventory.problems {
        let source = problem.source.clone();
        problems.get_or_create(&SourceLabels { source }).inc();
    }
    registry.register(
        "device_source_problems",
        "What a source of devices complains of",
        problems,
    );
}

fn labels(device: &Device) -> DeviceLabels {
    DeviceLabels {
        device: device.id.clone(),
    }
}
