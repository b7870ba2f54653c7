//! The contract of probes: each asks one source and knows nothing of the others.

use std::time::Instant;

use crate::{Device, Problem};

/// A source of facts about devices: an operating system's files or a vendor's library, opened at run time.
pub trait Probe {
    /// The source's short name, such as `cpu` or `vulkan`.
    fn source(&self) -> &'static str;

    /// Asks the source once. A missing library is an empty report, not an error.
    ///
    /// # Errors
    /// [`ProbeError`] when the source is there and does not answer as its documentation says.
    fn probe(&self) -> Result<ProbeReport, ProbeError>;

    /// Opens the source to be asked again and again. A probe that has nothing to keep open asks anew each time.
    fn watch(self: Box<Self>) -> Box<dyn Watch>;
}

/// A source that is asked again and again. It never makes a context of a device for computing.
pub trait Watch {
    /// Asks at `now`. What only a span of time tells (a load, a power, events) counts from the reading before.
    ///
    /// # Errors
    /// As [`Probe::probe`].
    fn read(&mut self, now: Instant) -> Result<ProbeReport, ProbeError>;

    /// Forgets what was found, so that the next reading looks for devices that came or went meanwhile. What has happened to
    /// devices stays known.
    fn reopen(&mut self);
}

/// A probe without a memory as a watch.
#[derive(Debug, Clone)]
pub struct Anew<P>(pub P);

impl<P: Probe> Watch for Anew<P> {
    fn read(&mut self, _now: Instant) -> Result<ProbeReport, ProbeError> {
        self.0.probe()
    }

    fn reopen(&mut self) {}
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
