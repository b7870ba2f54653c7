//! Limits of the process: memory, descriptors, cores, privileges.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// Bytes of stacks and allocator reserves that are mapped, and so count, without ever being touched: the limit is on what
/// is mapped, a plan on what is used.
const UNTOUCHED_BYTES: u64 = 512 << 20;

/// Descriptors: a model of a hundred files, libraries and device nodes fit.
const DESCRIPTORS: u64 = 512;

/// No core is ever written, and no other process of this user may look inside: prompts are in here.
pub(crate) fn forbid_cores() -> Result<(), String> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|error| format!("RLIMIT_CORE: {error}"))?;
    prctl::set_dumpable(false).map_err(|error| format!("PR_SET_DUMPABLE: {error}"))
}

/// No program that is started from here may have more rights. None can be started either; seccomp asks for it.
pub(super) fn forbid_privileges() -> Result<(), String> {
    prctl::set_no_new_privs().map_err(|error| format!("PR_SET_NO_NEW_PRIVS: {error}"))
}

/// Limits memory to `memory` bytes beside mapped files, and descriptors to [`DESCRIPTORS`].
pub(super) fn set(memory: Option<u64>) -> Result<(), String> {
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS)
        .map_err(|error| format!("RLIMIT_NOFILE: {error}"))?;
    let Some(memory) = memory else {
        return Ok(());
    };
    let limit = memory.saturating_add(UNTOUCHED_BYTES);
    // Private writable memory, whose pages no file backs: RLIMIT_AS would count the mapped model as well.
    setrlimit(Resource::RLIMIT_DATA, limit, limit).map_err(|error| format!("RLIMIT_DATA: {error}"))
}
