//! One way for everything that goes wrong to become a status and an error body.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mains_ledger::LedgerError;
use mains_supervisor::{StoreError, SupervisorError};
use mains_types::{GenerationError, GenerationErrorKind};
use mains_wire::http::{ErrorBody, ErrorDetail, RequestError};

/// Seconds after which a client that was refused for want of room may try again: about one answer's length.
const RETRY_AFTER_S: u64 = 2;

/// An answer with a status of 400 or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// Boxed, since it is in every result.
    pub(crate) body: Box<ErrorBody>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::FORBIDDEN => "permission_error",
            status if status.is_client_error() => "invalid_request_error",
            _ => "server_error",
        };
        Self {
            status,
            body: Box::new(ErrorBody {
                error: ErrorDetail {
                    message: message.into(),
                    kind: kind.to_owned(),
                    param: None,
                    code: Some(code.to_owned()),
                    nearest: Vec::new(),
                },
            }),
        }
    }

    pub(crate) fn with_param(mut self, param: impl Into<String>) -> Self {
        self.body.error.param = Some(param.into());
        self
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(*self.body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        response
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let mut answer = Self::new(StatusCode::BAD_REQUEST, error.code, error.message);
        answer.body.error.param = error.param;
        answer
    }
}

impl From<GenerationError> for ApiError {
    fn from(error: GenerationError) -> Self {
        use GenerationErrorKind as Kind;
        let status = match error.kind {
            Kind::Invalid | Kind::ContextLength => StatusCode::BAD_REQUEST,
            Kind::UnknownModel => StatusCode::NOT_FOUND,
            Kind::Overloaded | Kind::Unavailable | Kind::Unmetered | Kind::ShuttingDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Kind::WorkerLost => StatusCode::BAD_GATEWAY,
            // Nobody reads it: the client has gone.
            Kind::Cancelled => StatusCode::REQUEST_TIMEOUT,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut answer = Self::new(status, error.kind.code(), error.message);
        answer.body.error.param = error.param;
        answer
    }
}

impl From<SupervisorError> for ApiError {
    fn from(error: SupervisorError) -> Self {
        let (status, code) = match &error {
            SupervisorError::UnknownModel { .. } => (StatusCode::NOT_FOUND, "model_not_found"),
            SupervisorError::NotMeasured { .. } => (StatusCode::CONFLICT, "not_measured"),
            SupervisorError::NoPlan { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "no_plan"),
            SupervisorError::Spawn(_) | SupervisorError::Worker { .. } => {
                (StatusCode::BAD_GATEWAY, "worker_lost")
            }
            SupervisorError::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "model_unavailable"),
            SupervisorError::Store(error) => of_store(error),
            SupervisorError::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
        };
        let mut answer = Self::new(status, code, error.to_string());
        match error {
            SupervisorError::UnknownModel { .. } => answer.with_param("model"),
            SupervisorError::NoPlan { source, .. } => {
                answer.body.error.nearest = source.nearest.into_iter().map(Into::into).collect();
                answer
            }
            _ => answer,
        }
    }
}

/// What the store says, as HTTP has it.
const fn of_store(error: &StoreError) -> (StatusCode, &'static str) {
    match error {
        StoreError::Name { .. } | StoreError::Refused { .. } => (StatusCode::BAD_REQUEST, "invalid_model"),
        StoreError::Taken { .. } => (StatusCode::CONFLICT, "name_taken"),
        StoreError::Offset { .. } => (StatusCode::CONFLICT, "wrong_offset"),
        StoreError::Damaged { .. } => (StatusCode::CONFLICT, "damaged"),
        StoreError::NoImport { .. } => (StatusCode::NOT_FOUND, "no_import"),
        StoreError::NoRoom { .. } | StoreError::DiskFull { .. } | StoreError::Budget { .. } => {
            (StatusCode::INSUFFICIENT_STORAGE, "disk_full")
        }
        StoreError::Duplicate { .. } | StoreError::NoModel { .. } | StoreError::Io { .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "store_error")
        }
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ledger_unavailable",
            error.to_string(),
        )
    }
}
