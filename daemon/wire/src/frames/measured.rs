//! Drivers on devices, and their speed, on the wire.

use std::time::{Duration, UNIX_EPOCH};

use mains_contract::{DriverFacts, Measured, Precision};
use serde::{Deserialize, Serialize};

use super::{FrameError, bounds};

#[derive(Debug, Serialize, Deserialize)]
pub struct DriverFactsWire {
    name: String,
    version: String,
    kernels: String,
    threads: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct MeasuredWire {
    /// Since 1970.
    at: Duration,
    driver: DriverFactsWire,
    read_bytes_per_s: f64,
    /// By the name of the precision.
    operations_per_s: Vec<(String, f64)>,
    spread: f64,
}

impl From<DriverFacts> for DriverFactsWire {
    fn from(facts: DriverFacts) -> Self {
        Self {
            name: facts.name,
            version: facts.version,
            kernels: facts.kernels,
            threads: facts.threads,
        }
    }
}

impl TryFrom<DriverFactsWire> for DriverFacts {
    type Error = FrameError;

    fn try_from(wire: DriverFactsWire) -> Result<Self, FrameError> {
        let name = |what, text| bounds::text(what, text, bounds::NAME_BYTES);
        Ok(Self {
            name: name("driver.name", wire.name)?,
            version: name("driver.version", wire.version)?,
            kernels: name("driver.kernels", wire.kernels)?,
            threads: wire.threads,
        })
    }
}

impl From<Measured> for MeasuredWire {
    fn from(measured: Measured) -> Self {
        let operations = measured.operations_per_s.into_iter();
        Self {
            // A clock before 1970 is wrong anyway: it reads as 1970.
            at: measured.at.duration_since(UNIX_EPOCH).unwrap_or_default(),
            driver: measured.driver.into(),
            read_bytes_per_s: measured.read_bytes_per_s,
            operations_per_s: operations
                .map(|(precision, speed)| (precision.name().to_owned(), speed))
                .collect(),
            spread: measured.spread,
        }
    }
}

impl TryFrom<MeasuredWire> for Measured {
    type Error = FrameError;

    fn try_from(wire: MeasuredWire) -> Result<Self, FrameError> {
        let at = UNIX_EPOCH.checked_add(wire.at);
        Ok(Self {
            at: at.ok_or_else(|| FrameError::Invalid {
                what: "measured.at",
                reason: "beyond what a clock can show".to_owned(),
            })?,
            driver: wire.driver.try_into()?,
            read_bytes_per_s: positive("measured.read_bytes_per_s", wire.read_bytes_per_s)?,
            operations_per_s: bounds::list(
                "measured.operations_per_s",
                wire.operations_per_s,
                Precision::ALL.len(),
                |(name, speed)| {
                    let known = Precision::from_name(&name);
                    let precision = known.ok_or_else(|| FrameError::Invalid {
                        what: "measured.operations_per_s",
                        reason: "a precision that is not one of ours".to_owned(),
                    })?;
                    Ok((precision, positive("measured.operations_per_s", speed)?))
                },
            )?
            .into_iter()
            .collect(),
            spread: bounds::finite("measured.spread", wire.spread)?,
        })
    }
}

/// A speed: nothing is divided by 0 for the want of one.
fn positive(what: &'static str, speed: f64) -> Result<f64, FrameError> {
    if speed > 0.0 && speed.is_finite() {
        return Ok(speed);
    }
    Err(FrameError::Invalid {
        what,
        reason: format!("{speed} is no speed"),
    })
}
