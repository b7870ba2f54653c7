//! Errors as OpenAI's clients read them.

use serde::{Deserialize, Serialize};

use super::NearestBody;

/// The body of every answer with a status of 400 or more, and the `data:` of an error in the middle of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// What happened and what to do, for a person.
    pub message: String,
    /// `invalid_request_error`, `permission_error` or `server_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The parameter at fault.
    pub param: Option<String>,
    /// A short code for programs, such as `context_length_exceeded`.
    pub code: Option<String>,
    /// When no plan fits (code `no_plan`): demands that would, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<NearestBody>,
}
