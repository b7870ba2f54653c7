//! What the process takes from itself before anything else.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

/// No core dump ever holds a prompt; files are the daemon's, and readable for the group that workers are in.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn harden() -> nix::Result<()> {
    umask(Mode::from_bits_truncate(0o027));
    // A service manager's filter may forbid the call, and has set the limit itself then.
    if getrlimit(Resource::RLIMIT_CORE)? != (0, 0) {
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    }
    nix::sys::prctl::set_dumpable(false)
}
