//! Spans of time as people write them: `90s`, `5m`, `2h`, `7d`.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// The longest span that makes sense here: a year, well within what clocks add up.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// A span of time or `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeepAlive(pub(crate) Option<Duration>);

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let scale = match &text[digits.len()..] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 24 * 3600,
            _ => return None,
        };
        let seconds = digits.parse::<u64>().ok()?.checked_mul(scale)?;
        Some(Self(Duration::from_secs(seconds))).filter(|span| span.0 <= LONGEST)
    }
}

/// Writes `span` in the largest unit that has no rest.
pub(crate) fn text(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        s if s % (24 * 3600) == 0 => format!("{}d", s / (24 * 3600)),
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

struct SpanVisitor {
    forever: bool,
}

impl Visitor<'_> for SpanVisitor {
    type Value = Option<Duration>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a span of time up to a year, such as \"90s\", \"5m\", \"2h\" or \"7d\"")?;
        if self.forever {
            out.write_str(", or \"forever\"")?;
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if self.forever && text == "forever" {
            return Ok(None);
        }
        match Span::parse(text) {
            Some(span) => Ok(Some(span.0)),
            None => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let span = deserializer.deserialize_str(SpanVisitor { forever: false })?;
        Ok(Self(span.expect(
            "only \"forever\" gives none, and it is not allowed here",
        )))
    }
}

impl<'de> Deserialize<'de> for KeepAlive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(SpanVisitor { forever: true })
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Span, text};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn units() {
        for (given, seconds) in [("90s", 90), ("5m", 300), ("2h", 7200), ("7d", 604_800), ("0s", 0)] {
            assert_eq!(Span::parse(given), Some(Span(Duration::from_secs(seconds))));
        }
        for given in [
            "",
            "5",
            "m",
            "5 m",
            "-1s",
            "1.5h",
            "5ms",
            "367d",
            "99999999999999999999s",
            "é",
        ] {
            assert_eq!(Span::parse(given), None, "{given}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0_u64..=31_622_400) {
            let span = Duration::from_secs(seconds);
            prop_assert_eq!(Span::parse(&text(span)), Some(Span(span)));
        }

        #[test]
        fn any_text_is_a_span_or_none(given in "\\PC{0,12}") {
            let span = Span::parse(&given);
            prop_assert!(span.is_none_or(|span| span.0 <= super::LONGEST));
        }
    }
}
