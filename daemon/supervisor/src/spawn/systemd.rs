//! Workers that systemd starts: one socket unit a role with `Accept=yes`, one instance of its template a connection.
//!
//! The daemon never forks. Who is at the other end is the kernel's word: the peer of a connection to a listening socket is
//! systemd itself (unix(7)), so the credentials of the worker's first message are taken instead, and a pidfd is
//! opened from them. A process number can only be used again once its process is gone, and then the connection is at its
//! end, which is checked afterwards.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, connect, recvmsg, setsockopt,
    socket, sockopt,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::pidfd::Pidfd;
use super::{Limits, Role, Spawn, SpawnError, WorkerConnection, WorkerEnd, WorkerProcess};

/// From the connection to the worker's first byte: systemd sets up namespaces and the program starts; seconds on a
/// box that is busy.
const FIRST_WORD: Duration = Duration::from_secs(20);

/// Connects to the sockets `worker-<role>.sock` of systemd in one folder.
#[derive(Debug, Clone)]
pub struct SystemdSpawn {
    folder: PathBuf,
}

impl SystemdSpawn {
    /// The sockets are in `folder`, as a rule `/run/mains`.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The socket of `role`.
    #[must_use]
    pub fn socket(&self, role: Role) -> PathBuf {
        self.folder.join(format!("worker-{}.sock", role.name()))
    }
}

impl Spawn for SystemdSpawn {
    /// What a worker may read and take is its unit's to say.
    fn spawn(&self, role: Role, _limits: Limits) -> BoxFuture<'_, Result<WorkerConnection, SpawnError>> {
        Box::pin(async move {
            let path = self.socket(role);
            let failed = |reason: String| SpawnError {
                role: role.name(),
                how: path.display().to_string(),
                reason,
            };
            let stream = dial(&path).map_err(|error| failed(error.to_string()))?;
            let unit = format!("`systemctl status 'mains-worker-{}@*'` tells more", role.name());
            match tokio::time::timeout(FIRST_WORD, identify(stream)).await {
                Ok(Ok(worker)) => Ok(worker),
                Ok(Err(error)) => Err(failed(format!("{error}; {unit}"))),
                Err(_) => Err(failed(format!(
                    "no word from the worker for {} s; {unit}",
                    FIRST_WORD.as_secs()
                ))),
            }
        })
    }
}

/// Connects with credentials asked for, so that not even the first message comes without.
fn dial(path: &Path) -> io::Result<StdStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let descriptor: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    setsockopt(&descriptor, sockopt::PassCred, &true)?;
    connect(descriptor.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(descriptor.into())
}

async fn identify(stream: StdStream) -> io::Result<WorkerConnection> {
    let stream = UnixStream::from_std(stream)?;
    let pid = loop {
        stream.readable().await?;
        match stream.try_io(Interest::READABLE, || sender(&stream)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            pid => break pid?,
        }
    };
    let pidfd = Pidfd::open(pid)?;
    let stream = stream.into_std()?;
    setsockopt(&stream, sockopt::PassCred, &false)?;
    Ok(WorkerConnection {
        stream,
        process: Box::new(Accepted { pid, pidfd }),
    })
}

/// The process that sent the first bytes. They stay in the stream.
fn sender(stream: &UnixStream) -> io::Result<u32> {
    let mut first = [0; 1];
    let mut buffers = [IoSliceMut::new(&mut first)];
    let mut space = nix::cmsg_space!(nix::libc::ucred);
    let message = recvmsg::<()>(
        stream.as_raw_fd(),
        &mut buffers,
        Some(&mut space),
        MsgFlags::MSG_PEEK,
    )?;
    if message.bytes == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the worker ended before it said anything",
        ));
    }
    let credentials = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.pid()),
        _ => None,
    });
    credentials
        .and_then(|pid| u32::try_from(pid).ok())
        .filter(|pid| *pid != 0)
        .ok_or_else(|| io::Error::other("the kernel does not say which process the worker is"))
}

struct Accepted {
    pid: u32,
    pidfd: Pidfd,
}

impl WorkerProcess for Accepted {
    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    fn kill(&self) {
        // A worker of another user may not be signalled: the end of the connection and its unit's watchdog end it.
        let _not_ours = self.pidfd.kill();
    }

    fn ended(&mut self) -> BoxFuture<'_, WorkerEnd> {
        Box::pin(async {
            self.pidfd.ended().await;
            WorkerEnd::Gone
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::SystemdSpawn;
    use crate::spawn::{Limits, Role, Spawn};

    #[tokio::test]
    async fn the_kernel_says_who_the_worker_is() {
        let folder = tempfile::tempdir().unwrap();
        let spawn = SystemdSpawn::new(folder.path().to_owned());
        let listener = UnixListener::bind(spawn.socket(Role::Run)).unwrap();
        let worker = std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"hello").unwrap());
        let mut connection = spawn.spawn(Role::Run, Limits::default()).await.unwrap();
        worker.join().unwrap();
        assert_eq!(connection.process.pid(), Some(std::process::id()));
        let mut said = String::new();
        connection.stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello");
    }

    #[tokio::test]
    async fn a_worker_that_ends_without_a_word_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let spawn = SystemdSpawn::new(folder.path().to_owned());
        let missing = spawn.spawn(Role::Run, Limits::default()).await.err().unwrap();
        assert!(missing.to_string().contains("worker-run.sock"), "{missing}");
        let listener = UnixListener::bind(spawn.socket(Role::Run)).unwrap();
        let worker = std::thread::spawn(move || drop(listener.accept().unwrap()));
        let error = spawn.spawn(Role::Run, Limits::default()).await.err().unwrap();
        worker.join().unwrap();
        assert!(error.to_string().contains("before it said anything"), "{error}");
    }
}
