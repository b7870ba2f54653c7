//! Workers as children of the daemon: for a developer, a try and tests, where systemd starts none.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use futures_util::future::BoxFuture;
use mains_wire::frames::CONNECTION_DESCRIPTOR;
use tokio::process::{Child, ChildStderr, Command};
use tokio_stream::StreamExt;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use super::pidfd::Pidfd;
use super::{Limits, Role, Spawn, SpawnError, WorkerConnection, WorkerEnd, WorkerProcess};

/// Bytes of one line that a worker writes to its standard error; the rest of a longer one is dropped.
const LINE_BYTES: usize = 4096;

/// What systemd tells the daemon about itself, and is not true of a worker.
const OWN_VARIABLES: [&str; 6] = [
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];

/// Starts `mains-worker` as a child, in a process group of its own so that a terminal's Ctrl-C reaches the daemon only.
#[derive(Debug, Clone)]
pub struct ForkSpawn {
    program: PathBuf,
}

impl ForkSpawn {
    /// Workers are started from the file `program`.
    #[must_use]
    pub const fn new(program: PathBuf) -> Self {
        Self { program }
    }

    fn start(&self, role: Role, limits: &Limits) -> std::io::Result<WorkerConnection> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&self.program);
        command
            .args(arguments(role, limits))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for variable in OWN_VARIABLES {
            command.env_remove(variable);
        }
        pass(&mut command, OwnedFd::from(theirs));
        let mut child = command.spawn()?;
        // The parent's copy of the worker's end: with it open, the worker's end would not end the connection.
        drop(command);
        let pid = child.id().unwrap_or_default();
        let pidfd = Pidfd::open(pid)?;
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(log_lines(role, pid, stderr));
        }
        Ok(WorkerConnection {
            stream: ours,
            process: Box::new(Forked { child, pid, pidfd }),
        })
    }
}

impl Spawn for ForkSpawn {
    fn spawn(&self, role: Role, limits: Limits) -> BoxFuture<'_, Result<WorkerConnection, SpawnError>> {
        Box::pin(async move {
            self.start(role, &limits).map_err(|error| SpawnError {
                role: role.name(),
                how: self.program.display().to_string(),
                reason: error.to_string(),
            })
        })
    }
}

/// `mains-worker <role's command> [--allow-read PATH]... [--memory-max BYTES] --wall fork`.
fn arguments(role: Role, limits: &Limits) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec![role.command().into()];
    for path in &limits.readable {
        arguments.push("--allow-read".into());
        arguments.push(path.into());
    }
    if let Some(memory) = limits.memory {
        arguments.push("--memory-max".into());
        arguments.push(memory.0.to_string().into());
    }
    arguments.extend(["--wall".into(), "fork".into()]);
    arguments
}

/// Gives `connection` to the child as descriptor 3.
fn pass(command: &mut Command, connection: OwnedFd) {
    let hand_over = move || place(connection.as_raw_fd());
    // SAFETY: the closure runs in the forked child before exec, where only async-signal-safe calls are allowed: dup2 and
    // fcntl are (signal-safety(7)), and nothing is allocated. Descriptor 3 can not be the pipe over which a failing exec is
    // told: that pipe is made last, and the runtime's own descriptors have taken 3 long before.
    unsafe {
        command.pre_exec(hand_over);
    }
}

fn place(connection: RawFd) -> std::io::Result<()> {
    let result = if connection == CONNECTION_DESCRIPTOR {
        // SAFETY: a call on plain numbers; the descriptor is open, as its owner lives in the closure.
        unsafe { libc::fcntl(connection, libc::F_SETFD, 0) }
    } else {
        // SAFETY: as above; what 3 was in the child is of no use to the worker. dup2 leaves the copy open on exec.
        unsafe { libc::dup2(connection, CONNECTION_DESCRIPTOR) }
    };
    if result < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

/// Passes a worker's words on. They are its own: never a prompt, never an answer.
async fn log_lines(role: Role, pid: u32, stderr: ChildStderr) {
    let mut lines = FramedRead::new(stderr, LinesCodec::new_with_max_length(LINE_BYTES));
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => tracing::info!(role = role.name(), pid, "{line}"),
            Err(LinesCodecError::MaxLineLengthExceeded) => {
                tracing::info!(
                    role = role.name(),
                    pid,
                    "a line of more than {LINE_BYTES} bytes was dropped"
                );
            }
            // Not text, or the pipe failed: what comes after can not be trusted to be lines either.
            Err(LinesCodecError::Io(_)) => break,
        }
    }
}

struct Forked {
    child: Child,
    pid: u32,
    pidfd: Pidfd,
}

impl WorkerProcess for Forked {
    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    fn kill(&self) {
        // It fails for a process that is gone, which is what is wanted.
        let _gone = self.pidfd.kill();
    }

    fn ended(&mut self) -> BoxFuture<'_, WorkerEnd> {
        Box::pin(async {
            self.pidfd.ended().await;
            match self.child.wait().await {
                Ok(status) => end_of(status),
                Err(_) => WorkerEnd::Gone,
            }
        })
    }
}

fn end_of(status: ExitStatus) -> WorkerEnd {
    match (status.code(), status.signal()) {
        (Some(code), _) => WorkerEnd::Exited(code),
        (None, Some(signal)) => WorkerEnd::Signalled(signal),
        (None, None) => WorkerEnd::Gone,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use mains_contract::Bytes;
    use tokio::io::AsyncReadExt;

    use super::{ForkSpawn, arguments};
    use crate::spawn::{Limits, Role, Spawn, WorkerEnd};

    fn program(folder: &std::path::Path, script: &str) -> ForkSpawn {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join("worker");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        ForkSpawn::new(path)
    }

    #[test]
    fn says_role_and_limits() {
        let limits = Limits {
            readable: vec![PathBuf::from("/m/a.gguf")],
            memory: Some(Bytes(7)),
        };
        let expected = [
            "run",
            "--allow-read",
            "/m/a.gguf",
            "--memory-max",
            "7",
            "--wall",
            "fork",
        ];
        assert_eq!(arguments(Role::Run, &limits), expected);
    }

    #[tokio::test]
    async fn the_connection_is_descriptor_3_and_the_end_is_proved() {
        let folder = tempfile::tempdir().unwrap();
        let spawn = program(folder.path(), "echo \"$1\" >&3; exit 7");
        let mut worker = spawn.spawn(Role::Probe, Limits::default()).await.unwrap();
        worker.stream.set_nonblocking(true).unwrap();
        let mut stream = tokio::net::UnixStream::from_std(worker.stream).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "probe\n");
        assert_eq!(worker.process.ended().await, WorkerEnd::Exited(7));
    }

    #[tokio::test]
    async fn a_killed_worker_is_told_by_its_signal() {
        let folder = tempfile::tempdir().unwrap();
        let mut worker = program(folder.path(), "read forever <&3")
            .spawn(Role::Run, Limits::default())
            .await
            .unwrap();
        worker.process.kill();
        assert_eq!(worker.process.ended().await, WorkerEnd::Signalled(9));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let spawn = ForkSpawn::new(PathBuf::from("/nowhere/mains-worker"));
        let error = spawn.spawn(Role::Run, Limits::default()).await.err().unwrap();
        assert!(error.to_string().contains("/nowhere/mains-worker"), "{error}");
    }
}
