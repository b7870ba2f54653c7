//! How often devices are looked at.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::ConfigError;
use super::file::DevicesSection;
use super::settings::Source;

/// One reading costs a millisecond a card; more often would only heat the box.
const WATCH_EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(5);

/// Looking anew wakes cards up.
const PROBE_EVERY: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(7 * 24);

/// How often devices are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeviceSettings {
    /// From one reading of temperature, power and health to the next.
    pub(crate) watch_every: Duration,
    /// From one search for devices that came or went to the next.
    pub(crate) probe_every: Duration,
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self {
            watch_every: Duration::from_secs(10),
            probe_every: Duration::from_mins(10),
        }
    }
}

impl DeviceSettings {
    /// Checks the values of `section`.
    pub(super) fn resolve(section: &DevicesSection, source: &Source<'_>) -> Result<Self, ConfigError> {
        let default = Self::default();
        Ok(Self {
            watch_every: match &section.watch_every {
                Some(span) => source.span_within(span, "devices.watch_every", WATCH_EVERY)?,
                None => default.watch_every,
            },
            probe_every: match &section.probe_every {
                Some(span) => source.span_within(span, "devices.probe_every", PROBE_EVERY)?,
                None => default.probe_every,
            },
        })
    }
}
