//! The contract of probes: each asks one source and knows nothing of the others.

use crate::{Device, Problem};

/// One source of facts about devices: an operating system's files or a vendor's library, opened at run time.
pub trait Probe {
    /// The source's short name, such as `cpu` or `vulkan`.
    fn source(&self) -> &'static str;

    /// Asks the source once. A missing library is an empty report, not an error.
    ///
    /// # Errors
    /// [`ProbeError`] when the source is there and does not answer as its documentation says.
    fn probe(&self) -> Result<ProbeReport, ProbeError>;
}

/// What one source said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProbeReport {
    /// The devices that it sees.
    pub devices: Vec<Device>,
    /// Parts of it that failed without costing the rest.
    pub problems: Vec<Problem>,
}

/// A source that is present and failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProbeError(pub String);
