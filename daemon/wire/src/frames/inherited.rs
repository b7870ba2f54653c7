//! The connection that a worker is born with: descriptor 3, from `Accept=yes` of systemd (sd_listen_fds(3)) or from the
//! daemon that forked it.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use super::FrameError;

/// The descriptor of the connection: the first that systemd passes (`SD_LISTEN_FDS_START`).
pub const CONNECTION_DESCRIPTOR: i32 = 3;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the connection that this process was started with, once. Call it first thing in `main`, before anything opens
/// a descriptor. The stream is non-blocking and closed on exec.
///
/// # Errors
/// [`FrameError::Connection`] when `LISTEN_FDS` or `LISTEN_PID` say that the descriptor is not for this process, or when it is no
/// Unix socket.
pub fn inherited_connection() -> Result<UnixStream, FrameError> {
    check_environment(std::env::var("LISTEN_FDS").ok(), std::env::var("LISTEN_PID").ok())?;
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(io::Error::other("the inherited connection was taken before").into());
    }
    // SAFETY: by the convention above the descriptor belongs to whoever takes the connection, and the flag lets only one
    // caller do so. If nothing was passed it is closed, or something else that this process was started with: then the
    // calls below fail before anything is read or written.
    let descriptor = unsafe { OwnedFd::from_raw_fd(CONNECTION_DESCRIPTOR) };
    // The duplicate is closed on exec; what was passed is not.
    let stream = UnixStream::from(descriptor.try_clone()?);
    stream.local_addr().map_err(|error| {
        io::Error::new(
            error.kind(),
            format!(
                "descriptor {CONNECTION_DESCRIPTOR} is no Unix socket ({error}): mainsd starts workers, they are \
                 not started by hand"
            ),
        )
    })?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn check_environment(descriptors: Option<String>, process: Option<String>) -> Result<(), io::Error> {
    if let Some(descriptors) = descriptors.filter(|count| count != "1") {
        return Err(io::Error::other(format!(
            "LISTEN_FDS is {descriptors}: a worker takes one connection (Accept=yes)"
        )));
    }
    let own = std::process::id();
    if let Some(process) = process.filter(|process| *process != own.to_string()) {
        return Err(io::Error::other(format!(
            "LISTEN_PID is {process}: the connection is not for this process ({own})"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_environment;

    #[test]
    fn takes_only_what_is_meant_for_this_process() {
        let own = std::process::id();
        let check = |fds: Option<&str>, pid: Option<u32>| {
            check_environment(fds.map(ToOwned::to_owned), pid.map(|pid| pid.to_string())).is_ok()
        };
        assert!(check(None, None));
        assert!(check(Some("1"), Some(own)));
        assert!(!check(Some("2"), Some(own)));
        assert!(!check(Some("1"), Some(own + 1)));
    }
}
