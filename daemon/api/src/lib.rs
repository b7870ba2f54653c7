//! The HTTP interface: one file a resource.
//!
//! [`serve`] accepts on a Unix socket and asks the kernel who is there; `access` decides which team that is; `router`
//! finds the resource. Bodies are `mains-wire`'s, the work is the supervisor's behind [`Backend`] and [`ModelStore`], usage is
//! read through [`Records`].
//!
//! Invariants: nobody but an admitted peer gets an answer other than 403; no prompt and no answer is ever logged; a
//! client that goes away cancels what it asked for.

mod accept;
mod access;
mod admin;
mod answer;
mod app;
mod backend;
mod body;
mod chat;
mod completions;
mod device_metrics;
mod devices;
mod errors;
mod health;
mod identity;
mod imports;
mod latency_metrics;
mod log_ring;
mod metrics;
mod model_store;
mod models;
mod plan;
mod prepare;
mod query;
mod rooms;
mod router;
mod sse;
mod stall;
mod status;
mod usage;

pub use accept::{HEADER_TIMEOUT, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_UID, serve};
pub use access::{Access, AccessRules, Door, TeamMap};
pub use app::App;
pub use backend::{Backend, Operator, Records};
pub use log_ring::{KEPT_LINES, LogRing};
pub use model_store::ModelStore;
