//! `GET /v1/status`, `/healthz`, `/readyz` and the answers of the administration socket.

use serde::{Deserialize, Serialize};

use super::{DevicesBody, PlanBody};

/// The whole daemon. Fields are absent when unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusBody {
    /// `ready`, `degraded` (it answers, something is wrong), `unready` (new requests get 503) or `stopping`.
    pub state: String,
    /// Why it is not `ready`.
    pub reasons: Vec<String>,
    /// Version of the daemon.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// Seconds since then.
    pub uptime_s: u64,
    /// Every model that can be asked for, in order of the names.
    pub models: Vec<ModelStatus>,
    /// Bytes that loaded models hold, by device.
    pub reservations: Vec<ReservationBody>,
    /// The record of usage.
    pub ledger: LedgerStatus,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStatus {
    /// Its name.
    pub name: String,
    /// Its file or folder.
    pub path: String,
    /// `embedded`, `configured`, `folder` (put into the store by hand) or `imported`.
    pub origin: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// `stopped`, `starting`, `loading`, `ready`, `draining`, `stopping`, `backoff` or `failed`.
    pub state: String,
    /// The worker's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_pid: Option<u32>,
    /// When it was loaded, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_at: Option<String>,
    /// Requests that are being computed.
    pub running: u32,
    /// Requests that wait.
    pub queued: u32,
    /// Crashes of its worker since the daemon started.
    pub crashes: u32,
    /// Seconds until the next start after crashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_s: Option<u64>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Protections that its worker runs without, each with the reason.
    pub walls_missing: Vec<String>,
    /// What is known of what quantized types cost it.
    #[serde(default)]
    pub sensitivity: SensitivityStatus,
}

/// How far the measurement of what types cost a model is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SensitivityStatus {
    /// `unknown` (nobody has looked), `waiting` (for idle time), `measuring`, `measured` (loads are planned by it), `kept` (its
    /// files are quantized already and keep their types) or `failed`.
    pub state: String,
    /// Steps that are done: groups of tensors, texts before the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u32>,
    /// All of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
    /// What it waits for beside idle time, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Bytes that a model holds on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationBody {
    /// The device.
    pub device: String,
    /// The model.
    pub model: String,
    /// Bytes, as its plan says.
    pub bytes: u64,
}

/// The record of usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerStatus {
    /// Whether new requests can be recorded.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /healthz` (200 while the daemon answers at all) and `/readyz` (503 when new requests would be refused).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeBody {
    /// `ok`, `ready` or `unready`.
    pub status: String,
    /// Why it is unready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// `POST /admin/models/{id}/load`, `/admin/models/{id}/unload`: the model afterwards.
pub type ModelChanged = ModelStatus;

/// `POST /admin/reload`. A configuration that cannot be used is status 400, and the old one stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadBody {
    /// The file that was read.
    pub config: String,
    /// What is different now, in words; empty when nothing is.
    pub changes: Vec<String>,
}

/// One line of the log. `GET /admin/logs?lines=N&follow=true` is `application/x-ndjson`: one of these a line, the oldest
/// first; with `follow` the answer goes on for as long as the client reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// RFC 3339.
    pub time: String,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: String,
    /// The module that says it.
    pub target: String,
    /// The text.
    pub message: String,
    /// Its values by name.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// `GET /admin/support`: what a vendor needs, without prompts, answers and secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SupportBody {
    /// The daemon.
    pub status: StatusBody,
    /// The devices; absent when they could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<DevicesBody>,
    /// The plan of each model that has one.
    pub plans: Vec<PlanBody>,
    /// Models without a plan and why.
    pub without_plan: Vec<NoPlanBody>,
    /// The configuration in force, as TOML.
    pub configuration: String,
    /// The newest log lines, the oldest first.
    pub log: Vec<LogLine>,
}

/// A model without a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoPlanBody {
    /// The model.
    pub model: String,
    /// Why.
    pub error: String,
}
