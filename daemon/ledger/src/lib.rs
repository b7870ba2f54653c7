//! The SQLite record of usage.
//!
//! A request's row is committed before its first token leaves, and its tokens leave under a durable lease: after a
//! crash the row is settled at the lease, so that never a token less and at most [`LEASE_TOKENS`] more are billed than
//! were received. One thread writes; what waits for it is committed together with one fsync.
//!
//! Invariants: an acknowledged row survives a power cut; a row is never counted twice; sums never shrink.

mod backup;
mod config;
mod disk;
mod error;
mod files;
mod health;
mod lease;
mod ledger;
mod meter;
mod open;
mod query;
mod reader;
mod row;
mod schema;
mod statements;
mod writer;

pub use config::LedgerConfig;
pub use disk::{Disk, SystemDisk};
pub use error::LedgerError;
pub use health::{Health, SLOW_COMMIT};
pub use lease::{EXTENSION_TOKENS, IN_FLIGHT_TOKENS, LEASE_TOKENS};
pub use ledger::Ledger;
pub use meter::Meter;
pub use query::{RequestQuery, UsageBy, UsageQuery};
pub use row::{OpenRow, Outcome, RequestRow, UsageRow};
pub use writer::ROUND;
