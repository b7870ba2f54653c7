//! Request bodies within their bounds, and ids of requests.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::StreamExt;
use mains_wire::http::MAX_BODY_BYTES;

use crate::errors::ApiError;

/// How long a body may take to arrive. 8 MiB pass a Unix socket in milliseconds; a minute is for a stopped debugger.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Bytes beyond the limit that are read and dropped, so that a client which writes everything before it reads gets the
/// answer instead of a broken pipe.
pub(crate) const DRAIN_BYTES: usize = 64 << 20;

/// The whole body.
///
/// # Errors
/// 413 beyond [`MAX_BODY_BYTES`], 408 when it takes too long, 400 when the connection fails.
pub(crate) async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    match tokio::time::timeout(BODY_TIMEOUT, collect(body)).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            format!(
                "the request body did not arrive within {} s",
                BODY_TIMEOUT.as_secs()
            ),
        )),
    }
}

async fn collect(body: Body) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut seen = 0_usize;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                "broken_body",
                format!("the request body broke off: {error}"),
            )
        })?;
        seen = seen.saturating_add(chunk.len());
        if seen <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if seen > DRAIN_BYTES {
            break;
        } else {
            bytes = Vec::new();
        }
    }
    if seen > MAX_BODY_BYTES {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the request body is larger than the limit of {MAX_BODY_BYTES} bytes"),
        ));
    }
    Ok(bytes)
}

/// `prefix` and 128 random bits: unique for all time, and nothing that can be guessed.
///
/// # Errors
/// 500 when the kernel has no random bytes, which a booted one has.
pub(crate) fn new_id(prefix: &str) -> Result<String, ApiError> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random)
        .map_err(|error| ApiError::internal(format!("the kernel gave no random bytes: {error}")))?;
    Ok(format!("{prefix}{:032x}", u128::from_be_bytes(random)))
}
