//! How workers come to be: by systemd, or by a fork of ours.

pub mod fork;
mod pidfd;
pub mod systemd;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use mains_contract::Bytes;
pub use mains_wire::frames::Role;

/// Starts workers.
pub trait Spawn: Send + Sync + 'static {
    /// Starts a worker of `role` that may read and take what `limits` say, and connects to it.
    fn spawn(&self, role: Role, limits: Limits) -> BoxFuture<'_, Result<WorkerConnection, SpawnError>>;
}

/// What a worker may have. A spawner that can not enforce one of them leaves it to the worker's unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Files and folders that it may read beside its program and libraries.
    pub readable: Vec<PathBuf>,
    /// Memory that it may take.
    pub memory: Option<Bytes>,
}

/// A started worker.
pub struct WorkerConnection {
    /// The connection, in blocking or non-blocking mode; its end ends the worker.
    pub stream: UnixStream,
    /// The process behind it.
    pub process: Box<dyn WorkerProcess>,
}

/// A worker's process. Dropping it ends the process where that is allowed.
pub trait WorkerProcess: Send + Sync {
    /// Its id, for people; never used to signal it.
    fn pid(&self) -> Option<u32>;

    /// Ends it at once. Where the daemon may not signal it, the end of the connection must do, so this can not fail.
    fn kill(&self);

    /// Resolves when the kernel has proved that the process is gone and its memory with it.
    fn ended(&mut self) -> BoxFuture<'_, WorkerEnd>;
}

/// How a worker's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerEnd {
    /// It exited with this status.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// It is gone; only its parent knows how.
    Gone,
}

impl std::fmt::Display for WorkerEnd {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(out, "exit status {status}"),
            Self::Signalled(signal) => write!(out, "signal {signal}"),
            Self::Gone => out.write_str("its unit's journal says how"),
        }
    }
}

/// A worker that could not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("can not start a {role} worker by {how}: {reason}")]
pub struct SpawnError {
    /// Its role.
    pub role: &'static str,
    /// The program or socket.
    pub how: String,
    /// What went wrong and what to do.
    pub reason: String,
}
