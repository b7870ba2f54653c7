//! The walls of a worker.
//!
//! Under systemd the unit builds them, and this module only tells which of them it can see. Where `mainsd` forks instead
//! (`--wall fork`), the process walls itself in before it reads anything: Landlock, seccomp and limits. A wall that the
//! kernel does not have is reported in the worker's `Hello`, never passed over.
//!
//! `PR_SET_PDEATHSIG` is not among them: it fires when the *thread* that forked ends, and the daemon's threads come and go.
//! The end of the connection ends a worker instead, also while it computes.

mod files;
mod limits;
mod seen;
mod syscall_lists;
mod syscalls;
pub(crate) mod trial;

use std::path::PathBuf;

use mains_wire::frames::{Role, Wall};

pub(crate) use limits::forbid_cores;

/// What a worker without systemd may do.
#[derive(Debug, Clone)]
pub(crate) struct Allowed {
    /// What it is for.
    pub(crate) role: Role,
    /// Files and folders that it may read beside its libraries.
    pub(crate) readable: Vec<PathBuf>,
    /// Bytes that it may take.
    pub(crate) memory: Option<u64>,
}

/// Walls this process in for good. Call it while there is one thread: walls are a thread's own and inherited.
pub(crate) fn build(allowed: &Allowed) -> Vec<Wall> {
    vec![
        wall("no-new-privileges", limits::forbid_privileges()),
        wall("limits", limits::set(allowed.memory)),
        wall("landlock", files::restrict(allowed)),
        // Last: it forbids what the others are built with.
        wall("seccomp", syscalls::restrict(allowed.role)),
    ]
}

/// The walls that a unit has built, as far as this process can see them.
pub(crate) fn found() -> Vec<Wall> {
    seen::walls()
}

fn wall(name: &str, built: Result<(), String>) -> Wall {
    Wall {
        name: name.to_owned(),
        missing: built.err(),
    }
}
