//! Exit codes that monitoring can tell apart, and the one place that maps errors to them.

use std::process::ExitCode;

use crate::client::ClientError;

/// What a command ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It failed; the message says why.
    Failure = 1,
    /// There is no plan that fits, or the daemon is not ready.
    NotReady = 3,
    /// Nobody answers on the socket.
    Unreachable = 4,
    /// The daemon answers, and not to this user.
    Forbidden = 5,
}

/// The table of exit codes that `mains --help` ends with. 2 is clap's.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; the message says why
  2  wrong usage
  3  no plan fits, or the daemon is not ready
  4  no daemon answers on the socket
  5  the daemon refuses this user";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The exit code of a failed command.
pub(crate) fn code_of(error: &anyhow::Error) -> Exit {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Unreachable { .. }) => Exit::Unreachable,
        Some(ClientError::Refused {
            status: 401 | 403, ..
        }) => Exit::Forbidden,
        Some(ClientError::Refused { status: 503, .. }) => Exit::NotReady,
        _ => Exit::Failure,
    }
}
