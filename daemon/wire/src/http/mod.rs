//! Bodies of the HTTP interface: requests checked strictly, answers in the shapes that clients depend on.
//!
//! | route | body of the answer |
//! |---|---|
//! | `POST /v1/chat/completions` | [`ChatCompletion`], or `data:` [`ChatChunk`] events and `data: [DONE]` |
//! | `POST /v1/completions` | [`Completion`], or `data:` [`Completion`] events and `data: [DONE]` |
//! | `GET /v1/models`, `/v1/models/{id}` | [`ModelList`], [`ModelBody`] |
//! | `GET /v1/models/{id}/details` | [`DetailsBody`] |
//! | `GET /v1/models/{id}/plan?context=&parallel=&device=&memory=` | [`PlanBody`] |
//! | `POST` to the same with the [`DevicesBody`] of another box | [`PlanBody`] |
//! | `GET /v1/devices?refresh=` | [`DevicesBody`] |
//! | `GET /v1/status` | [`StatusBody`] |
//! | `GET /v1/usage?by=&since=`, `/v1/requests?since=&limit=` | [`UsageReport`], array of [`RequestRow`] |
//! | `GET /healthz`, `/readyz` | [`ProbeBody`] |
//! | `POST /admin/models/{id}/load`, `/unload` | [`ModelChanged`] |
//! | `DELETE /admin/models/{id}?unload=` | [`RemovedBody`] |
//! | `GET /admin/models/{id}/export` | the bytes of a GGUF file; `id` is a model or the digest of a variant |
//! | `POST /admin/imports` of an [`ImportBody`] | [`ImportStateBody`] |
//! | `PUT /admin/imports/{id}/files/{number}?offset=` of bytes | [`ReceivedBody`] |
//! | `POST /admin/imports/{id}/finish` of a [`FinishBody`] | [`ImportEvent`]s, `application/x-ndjson` |
//! | `POST /admin/reload` | [`ReloadBody`] |
//! | `POST /admin/models/{id}/prepare?context=&parallel=&device=&memory=&weights=&policy=` | [`PrepareEvent`]s, `application/x-ndjson` |
//! | `POST /admin/devices/measure?device=` | [`MeasureEvent`]s, `application/x-ndjson` |
//! | `POST /admin/backup` | the bytes of a checked backup of the ledger, `application/vnd.sqlite3` |
//! | `GET /admin/logs?lines=&follow=` | [`LogLine`]s, `application/x-ndjson` |
//! | `GET /admin/support` | [`SupportBody`] |
//!
//! [`FamiliesBody`] is what `mains families --json` prints, without a daemon.
//!
//! Every status of 400 or more has an [`ErrorBody`].

mod chat_request;
mod chat_response;
mod common;
mod completion_request;
mod completion_response;
mod details_body;
mod devices_body;
mod error_body;
mod families_body;
mod fields;
mod history_body;
mod imports_body;
mod inventory;
mod json;
mod ledger_body;
mod limits;
mod logprobs;
mod measured_body;
mod messages;
mod models_body;
mod plan_body;
mod prepare_body;
mod request_error;
mod status_body;
mod usage_body;

#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod response_tests;

pub use chat_request::ChatRequest;
pub use chat_response::{ChatChoice, ChatChunk, ChatChunkChoice, ChatCompletion, ChatDelta, ChatMessage};
pub use common::Streaming;
pub use completion_request::CompletionRequest;
pub use completion_response::{Completion, CompletionChoice};
pub use details_body::{DetailsBody, FileDetails, ImportDetails, TypeDetails};
pub use devices_body::{
    DeviceBody, DevicesBody, EccErrorsBody, HealthBody, LinkBody, MemoryBody, ProblemBody, RuntimeBody,
};
pub use error_body::{ErrorBody, ErrorDetail};
pub use families_body::{FamiliesBody, FamilyBody, FamilyDriverBody, LackBody};
pub use history_body::SampleBody;
pub use imports_body::{
    FinishBody, ImportBody, ImportEvent, ImportFileBody, ImportStateBody, ImportedBody, ReceivedBody,
    RemovedBody,
};
pub use inventory::InventoryError;
pub use ledger_body::{RequestRow, UsageReport, UsageRow};
pub use limits::{
    DEFAULT_COMPLETION_TOKENS, MAX_BODY_BYTES, MAX_CHOICES, MAX_KEEP_ALIVE_S, MAX_LEGACY_LOGPROBS,
    MAX_LOGIT_BIAS, MAX_N, MAX_STOP_BYTES, MAX_STOPS, MAX_TOP_LOGPROBS,
};
pub use logprobs::{ChatLogprob, ChatLogprobs, CompletionLogprobs, LEAST_LOGPROB, TopLogprob};
pub use measured_body::{DriverBody, MeasureEvent, MeasuredBody};
pub use models_body::{ModelBody, ModelList};
pub use plan_body::{NearestBody, PlanBody, PlanBytesBody, PredictedBody, SegmentBody, TensorBody};
pub use prepare_body::{PrepareEvent, PreparedBody};
pub use request_error::RequestError;
pub use status_body::{
    LedgerStatus, LogLine, ModelChanged, ModelStatus, NoPlanBody, ProbeBody, ReloadBody, ReservationBody,
    SensitivityStatus, StatusBody, SupportBody,
};
pub use usage_body::{PromptTokensDetails, UsageBody};
