//! Parameters in URLs: known, of the right type, or an error that names them.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

use crate::errors::ApiError;

/// Checked parameters. `T` denies unknown fields.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(values)| Self(values))
            .map_err(|rejection| bad_query(&rejection.body_text()))
    }
}

pub(crate) fn bad_query(problem: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", problem)
}

/// `since` as a date, an RFC 3339 time, or a span back from `now` such as `30m`, `24h`, `7d`.
pub(crate) fn since(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let date = || {
        let date: Date = text.parse().ok()?;
        Some(date.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let span = || {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let minutes = match unit {
            "m" => 1,
            "h" => 60,
            "d" => 24 * 60,
            _ => return None,
        };
        let seconds = digits
            .parse::<u32>()
            .ok()
            .map(|count| i64::from(count) * minutes * 60)?;
        now.checked_sub(SignedDuration::from_secs(seconds)).ok()
    };
    text.parse::<Timestamp>()
        .ok()
        .or_else(span)
        .or_else(date)
        .map(Some)
        .ok_or_else(|| {
            bad_query(&format!(
                "since: {text:?} is no date (2026-11-01), no RFC 3339 time and no span (30m, 24h, 7d)"
            ))
            .with_param("since")
        })
}

#[cfg(test)]
mod tests {
    use super::since;
    use jiff::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn since_takes_three_forms() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let parsed = |text| since(Some(text), now).unwrap().unwrap().to_string();
        assert_eq!(parsed("2026-11-01"), "2026-11-01T00:00:00Z");
        assert_eq!(parsed("2026-11-01T01:00:00+01:00"), "2026-11-01T00:00:00Z");
        assert_eq!(parsed("24h"), "2026-11-23T12:00:00Z");
        assert_eq!(parsed("7d"), "2026-11-17T12:00:00Z");
        assert_eq!(since(None, now).unwrap(), None);
        assert_eq!(
            since(Some("yesterday"), now)
                .unwrap_err()
                .body
                .error
                .param
                .as_deref(),
            Some("since")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_an_error(text in "\\PC{0,24}|[0-9]{1,12}[mhdé]") {
            drop(since(Some(&text), Timestamp::UNIX_EPOCH));
        }
    }
}
