//! The kernel's proof that a process is gone.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

/// A process by descriptor: unlike its number it never means another process (pidfd_open(2)).
#[derive(Debug)]
pub(crate) struct Pidfd(AsyncFd<OwnedFd>);

impl Pidfd {
    /// Of the process that has the number `pid` now.
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = number.ok_or_else(|| io::Error::other(format!("{pid} is no process number")))?;
        let descriptor = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        // SAFETY: an `OwnedFd` stays open and keeps its number until it is dropped, and only the `AsyncFd` has it.
        let descriptor = unsafe { AsyncFd::register(descriptor) };
        Ok(Self(descriptor.map_err(io::Error::from)?))
    }

    /// Sends SIGKILL, where this process may.
    pub(crate) fn kill(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(self.0.get_ref(), Signal::KILL)?)
    }

    /// Resolves when the process has ended: its descriptor is readable then.
    pub(crate) async fn ended(&self) {
        // The only failure is a runtime that shuts down, and then nobody waits any more.
        let _ready = self.0.readable().await;
    }
}
