//! A driver on a device, as values: what its allocations there depend on, and how fast it was measured to be.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::{BlockFormat, Capabilities};

/// A driver that computes on a device. With the facts of a model these values decide every byte of a load there, so that
/// a plan needs no device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverFacts {
    /// The driver's name.
    pub name: String,
    /// The version of its code.
    pub version: String,
    /// The kernels that it picks there, such as `avx512`.
    pub kernels: String,
    /// Threads that share its work there, each with working memory of its own: see [`crate::FootprintModel::at`].
    pub threads: u32,
}

impl DriverFacts {
    /// What a driver of `version` that opened a device says of itself.
    #[must_use]
    pub fn new(capabilities: &Capabilities, version: &str) -> Self {
        Self {
            name: capabilities.driver.to_owned(),
            version: version.to_owned(),
            kernels: capabilities.kernels.clone(),
            threads: u32::try_from(capabilities.threads).unwrap_or(u32::MAX),
        }
    }
}

/// What a driver was measured to do on a device. Medians of several runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// When.
    pub at: SystemTime,
    /// By which driver; figures of another one say nothing.
    pub driver: DriverFacts,
    /// Bytes of weights a second that a product with one row reads.
    pub read_bytes_per_s: f64,
    /// Operations a second of products with many rows, a multiply-add being two, for each kind of number that the driver
    /// takes weights in.
    pub operations_per_s: BTreeMap<Precision, f64>,
    /// The largest distance between two runs of one figure, as a share of that figure: noise, mostly of what else runs.
    pub spread: f64,
}

impl Measured {
    /// Operations a second of products with weights in `format`.
    #[must_use]
    pub fn operations(&self, format: BlockFormat) -> Option<f64> {
        self.operations_per_s.get(&Precision::of(format)).copied()
    }
}

/// The kind of numbers that a product multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    /// Quantized weights, activations in eight bits.
    Int8,
    /// Weights in half precision.
    F16,
    /// Weights in bfloat16.
    Bf16,
    /// Weights in single precision.
    F32,
}

impl Precision {
    /// From the narrowest to the widest.
    pub const ALL: [Self; 4] = [Self::Int8, Self::F16, Self::Bf16, Self::F32];

    /// How weights in `format` are multiplied.
    #[must_use]
    pub const fn of(format: BlockFormat) -> Self {
        match format {
            BlockFormat::F32 => Self::F32,
            BlockFormat::F16 => Self::F16,
            BlockFormat::BF16 => Self::Bf16,
            _ => Self::Int8,
        }
    }

    /// The format of weights that stands for it in measurements.
    #[must_use]
    pub const fn format(self) -> BlockFormat {
        match self {
            Self::Int8 => BlockFormat::Q8_0,
            Self::F16 => BlockFormat::F16,
            Self::Bf16 => BlockFormat::BF16,
            Self::F32 => BlockFormat::F32,
        }
    }

    /// The short name that tables and JSON carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
        }
    }

    /// The one called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|precision| precision.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockFormat, Precision};

    #[test]
    fn every_format_is_multiplied_in_a_precision_that_is_measured() {
        for format in BlockFormat::ALL {
            let precision = Precision::of(format);
            assert_eq!(Precision::of(precision.format()), precision);
            assert_eq!(format.is_quantized(), precision == Precision::Int8, "{format}");
        }
        for precision in Precision::ALL {
            assert_eq!(Precision::from_name(precision.name()), Some(precision));
        }
    }
}
