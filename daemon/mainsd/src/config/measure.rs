//! How models are measured in the background.

use std::ops::RangeInclusive;
use std::time::Duration;

use mains_supervisor::BackgroundConfig;

use super::ConfigError;
use super::file::MeasureSection;
use super::settings::Source;

/// Below a second a measurement would begin between two requests of one program.
const AFTER: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

/// In less than a minute a table is little more than the cheap score; a week is more than any model takes.
const MOST: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(7 * 24);

/// As many tensors as a model may have.
const GROUPS: RangeInclusive<u32> = 1..=65_536;

/// The calibration text has fewer than a thousand pieces.
const TEXTS: RangeInclusive<u32> = 1..=1_000;

/// Checks the values of `section`. `None` when models are not to be measured.
pub(super) fn resolve(
    section: &MeasureSection,
    source: &Source<'_>,
) -> Result<Option<BackgroundConfig>, ConfigError> {
    let default = BackgroundConfig::default();
    let config = BackgroundConfig {
        after: match &section.after {
            Some(span) => source.span_within(span, "measure.after", AFTER)?,
            None => default.after,
        },
        most: match &section.most {
            Some(span) => source.span_within(span, "measure.most", MOST)?,
            None => default.most,
        },
        groups: match &section.groups {
            Some(groups) => source.within(groups, "measure.groups", GROUPS)?,
            None => default.groups,
        },
        texts: match &section.texts {
            Some(texts) => source.within(texts, "measure.texts", TEXTS)?,
            None => default.texts,
        },
    };
    Ok(section.background.unwrap_or(true).then_some(config))
}
