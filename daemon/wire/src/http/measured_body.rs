//! What drivers are on a device and how fast they were measured to be.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;
use mains_contract::{DriverFacts, Measured};
use serde::{Deserialize, Serialize};

/// A driver that computes on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverBody {
    /// Its name.
    pub name: String,
    /// The version of its code.
    pub version: String,
    /// The kernels that it picks there.
    pub kernels: String,
    /// Threads that share its work there, each with working memory of its own.
    pub threads: u32,
}

/// What a driver was measured to do on a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredBody {
    /// When, RFC 3339.
    pub at: String,
    /// By which driver.
    pub driver: DriverBody,
    /// Bytes of weights a second that a product with one row reads.
    pub read_bytes_per_s: f64,
    /// Operations a second, a multiply-add being two, by `int8`, `f16`, `bf16` and `f32`.
    pub operations_per_s: BTreeMap<String, f64>,
    /// How far the runs of a figure lay apart, as a share of it.
    pub spread: f64,
}

/// A line of the answer to `POST /admin/devices/measure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasureEvent {
    /// So much of it is done, in figures.
    Progress {
        /// The device.
        device: String,
        /// Figures that are known.
        done: u32,
        /// All of them.
        of: u32,
    },
    /// A device is measured, and the figures are kept.
    Measured {
        /// The device.
        device: String,
        /// The figures.
        measured: MeasuredBody,
    },
    /// A device could not be measured; what was known of it stays.
    Failed {
        /// The device.
        device: String,
        /// Why, and what to do.
        error: String,
    },
}

impl From<&DriverFacts> for DriverBody {
    fn from(facts: &DriverFacts) -> Self {
        Self {
            name: facts.name.clone(),
            version: facts.version.clone(),
            kernels: facts.kernels.clone(),
            threads: facts.threads,
        }
    }
}

impl From<DriverBody> for DriverFacts {
    fn from(body: DriverBody) -> Self {
        Self {
            name: body.name,
            version: body.version,
            kernels: body.kernels,
            threads: body.threads,
        }
    }
}

impl From<&Measured> for MeasuredBody {
    fn from(measured: &Measured) -> Self {
        let operations = measured.operations_per_s.iter();
        Self {
            at: text_of(measured.at),
            driver: (&measured.driver).into(),
            read_bytes_per_s: measured.read_bytes_per_s,
            operations_per_s: operations
                .map(|(precision, speed)| (precision.name().to_owned(), *speed))
                .collect(),
            spread: measured.spread,
        }
    }
}

/// RFC 3339, UTC. A clock beyond the year 9999 has no such form and is given as that of 1970.
fn text_of(time: SystemTime) -> String {
    Timestamp::try_from(time)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}
