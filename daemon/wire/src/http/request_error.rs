//! What is wrong with a request body.

/// A body that cannot be honoured. Becomes status 400 with [`crate::http::ErrorBody`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// What is wrong and what would be right, for the developer of the client.
    pub message: String,
    /// The parameter at fault as a path, such as `messages[2].content[0].type`.
    pub param: Option<String>,
    /// A short code for programs.
    pub code: &'static str,
}

impl RequestError {
    /// The body is no JSON object.
    #[must_use]
    pub fn malformed(reason: impl std::fmt::Display) -> Self {
        Self {
            message: format!("the request body is not a valid JSON object: {reason}"),
            param: None,
            code: "invalid_json",
        }
    }

    /// `param` has a value or type that is not allowed.
    #[must_use]
    pub fn invalid(param: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        let param = param.into();
        Self {
            message: format!("{param}: {problem}"),
            param: Some(param),
            code: "invalid_value",
        }
    }

    /// `param` must be there.
    #[must_use]
    pub fn missing(param: impl Into<String>) -> Self {
        let param = param.into();
        Self {
            message: format!("missing required parameter \"{param}\""),
            param: Some(param),
            code: "missing_required_parameter",
        }
    }

    /// Nobody knows `param`.
    #[must_use]
    pub fn unknown(param: impl Into<String>) -> Self {
        let param = param.into();
        Self {
            message: format!("unknown parameter \"{param}\""),
            param: Some(param),
            code: "unknown_parameter",
        }
    }

    /// OpenAI knows `param`; this daemon does not honour it, so it does not accept it.
    #[must_use]
    pub fn unsupported(param: impl Into<String>, why: &str) -> Self {
        let param = param.into();
        Self {
            message: format!("parameter \"{param}\" is not supported: {why}"),
            param: Some(param),
            code: "unsupported_parameter",
        }
    }
}
