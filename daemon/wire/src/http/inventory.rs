//! The inventory that a [`DevicesBody`] tells of: that of another box, to plan for it.

use std::time::SystemTime;

use jiff::Timestamp;
use mains_contract::{
    Bytes, Device, DeviceKind, EccErrors, Health, HealthState, Inventory, Link, Measured, Memory, Precision,
    Problem, Runtime,
};

use super::devices_body::{DeviceBody, DevicesBody, HealthBody, MemoryBody};
use super::measured_body::MeasuredBody;

/// A body that is no inventory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// A word that is not one of those there are.
    #[error("device {device}: {field} is {found:?}, which is none of {}", known.join(", "))]
    Word {
        /// The device's id.
        device: String,
        /// The field.
        field: &'static str,
        /// What it holds.
        found: String,
        /// What it may hold.
        known: Vec<&'static str>,
    },
    /// A speed by which no time can be told.
    #[error("device {device}: {field} is {found}, which is no speed")]
    Speed {
        /// The device's id.
        device: String,
        /// The field.
        field: &'static str,
        /// What it holds.
        found: String,
    },
    /// No time in the form that is written.
    #[error("{field} is {found:?}, which is no RFC 3339 time")]
    Time {
        /// The field.
        field: &'static str,
        /// What it holds.
        found: String,
    },
    /// Two devices of one name.
    #[error("there are two devices {0:?}; each has an id of its own")]
    Twice(String),
}

impl TryFrom<DevicesBody> for Inventory {
    type Error = InventoryError;

    fn try_from(body: DevicesBody) -> Result<Self, InventoryError> {
        let mut ids: Vec<_> = body.devices.iter().map(|device| &device.id).collect();
        ids.sort();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(InventoryError::Twice(pair[0].clone()));
        }
        let problems = body.problems.into_iter().map(|problem| Problem {
            source: problem.source,
            error: problem.error,
        });
        Ok(Self {
            devices: body
                .devices
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            problems: problems.collect(),
            probed_at: time("probed_at", &body.probed_at)?,
        })
    }
}

impl TryFrom<DeviceBody> for Device {
    type Error = InventoryError;

    fn try_from(body: DeviceBody) -> Result<Self, InventoryError> {
        let word = |field, found: &str, known: &[&'static str]| InventoryError::Word {
            device: body.id.clone(),
            field,
            found: found.to_owned(),
            known: known.to_vec(),
        };
        let kind = DeviceKind::from_name(&body.kind)
            .ok_or_else(|| word("kind", &body.kind, &DeviceKind::ALL.map(DeviceKind::name)))?;
        let HealthBody { state, reasons } = body.health;
        let state = HealthState::from_name(&state)
            .ok_or_else(|| word("health.state", &state, &HealthState::ALL.map(HealthState::name)))?;
        let measured = body.measured.map(|measured| figures(&body.id, measured));
        Ok(Self {
            vendor: body.vendor,
            name: body.name,
            kind,
            pci: body.pci,
            uuid: body.uuid,
            parent: body.parent,
            memory: body.memory.map(memory),
            runtime: body.runtime.map(|runtime| Runtime {
                name: runtime.name,
                version: runtime.version,
            }),
            sources: body.sources,
            usable_by: body.usable_by,
            unusable_because: body.unusable_because,
            drivers: body.drivers.into_iter().map(Into::into).collect(),
            measured: measured.transpose()?,
            features: body.features,
            temperature_c: body.temperature_c,
            power_w: body.power_w,
            power_limit_w: body.power_limit_w,
            energy_j: body.energy_j,
            utilization: body.utilization,
            link: body.link.map(|link| Link {
                generation: link.generation,
                width: link.width,
                max_generation: link.max_generation,
                max_width: link.max_width,
            }),
            ecc: body.ecc.map(|errors| EccErrors {
                corrected: errors.corrected,
                uncorrected: errors.uncorrected,
            }),
            throttle: body.throttle,
            health: Health { state, reasons },
            id: body.id,
        })
    }
}

fn memory(body: MemoryBody) -> Memory {
    Memory {
        total: Bytes(body.total_bytes),
        free: body.free_bytes.map(Bytes),
        shared: body.shared,
        host: body.host_bytes.map(Bytes),
    }
}

fn figures(device: &str, body: MeasuredBody) -> Result<Measured, InventoryError> {
    let speed = |field, found: f64| {
        if found > 0.0 && found.is_finite() {
            return Ok(found);
        }
        Err(InventoryError::Speed {
            device: device.to_owned(),
            field,
            found: found.to_string(),
        })
    };
    let operations = body.operations_per_s.into_iter().map(|(name, found)| {
        let precision = Precision::from_name(&name).ok_or_else(|| InventoryError::Word {
            device: device.to_owned(),
            field: "measured.operations_per_s",
            found: name,
            known: Precision::ALL.map(Precision::name).to_vec(),
        })?;
        Ok((precision, speed("measured.operations_per_s", found)?))
    });
    Ok(Measured {
        at: time("measured.at", &body.at)?,
        driver: body.driver.into(),
        read_bytes_per_s: speed("measured.read_bytes_per_s", body.read_bytes_per_s)?,
        operations_per_s: operations.collect::<Result<_, _>>()?,
        spread: body.spread,
    })
}

fn time(field: &'static str, text: &str) -> Result<SystemTime, InventoryError> {
    let parsed: Option<Timestamp> = text.parse().ok();
    let time = parsed.and_then(|time| SystemTime::try_from(time).ok());
    time.ok_or_else(|| InventoryError::Time {
        field,
        found: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use mains_contract::{Device, DeviceKind, DriverFacts, Inventory, Measured, Precision};
    use serde_json::json;

    use super::{DevicesBody, InventoryError};

    fn inventory() -> Inventory {
        let driver = DriverFacts {
            name: "cpu".to_owned(),
            version: "0.1.0".to_owned(),
            kernels: "avx2".to_owned(),
            threads: 16,
        };
        let measured = Measured {
            at: UNIX_EPOCH + Duration::from_secs(1_795_500_000),
            driver: driver.clone(),
            read_bytes_per_s: 4.0e10,
            operations_per_s: [(Precision::Int8, 1.5e12), (Precision::F32, 1.0e11)].into(),
            spread: 0.25,
        };
        let device = Device {
            drivers: vec![driver],
            measured: Some(measured),
            ..Device::new("cpu", "A CPU", DeviceKind::Cpu)
        };
        Inventory {
            devices: vec![device],
            problems: Vec::new(),
            probed_at: UNIX_EPOCH + Duration::from_secs(1_795_500_001),
        }
    }

    fn body() -> DevicesBody {
        DevicesBody::new(&inventory(), "2026-11-24T06:00:01Z".to_owned())
    }

    #[test]
    fn an_inventory_survives_the_way_to_another_box() {
        let text = serde_json::to_string(&body()).unwrap();
        let read: DevicesBody = serde_json::from_str(&text).unwrap();
        let mut expected = inventory();
        let time: jiff::Timestamp = "2026-11-24T06:00:01Z".parse().unwrap();
        expected.probed_at = time.try_into().unwrap();
        assert_eq!(Inventory::try_from(read), Ok(expected));
    }

    #[test]
    fn what_is_no_inventory_is_named() {
        let changed = |path: &str, value: serde_json::Value| {
            let mut body = serde_json::to_value(body()).unwrap();
            *body.pointer_mut(path).unwrap() = value;
            let body: DevicesBody = serde_json::from_value(body).unwrap();
            Inventory::try_from(body).unwrap_err().to_string()
        };
        assert_eq!(
            changed("/devices/0/kind", json!("toaster")),
            "device cpu: kind is \"toaster\", which is none of cpu, gpu, igpu, npu, software"
        );
        assert!(changed("/devices/0/health/state", json!("fine")).contains("none of ok, degraded"));
        assert!(changed("/devices/0/measured/read_bytes_per_s", json!(0.0)).contains("no speed"));
        assert!(changed("/devices/0/measured/at", json!("noon")).contains("measured.at is \"noon\""));
        assert!(changed("/probed_at", json!("noon")).contains("probed_at"));
        let mut twice = body();
        twice.devices.push(twice.devices[0].clone());
        assert_eq!(
            Inventory::try_from(twice),
            Err(InventoryError::Twice("cpu".to_owned()))
        );
    }
}
