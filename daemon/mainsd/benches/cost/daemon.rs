//! The daemon that is measured, with a worker that computes nothing.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Models and the null worker's options for each. Tokens of `fast` come as fast as they are taken, several in one read; those
/// of `paced` come one by one, 200 a second and stream, which is more than most models give.
pub(crate) const MODELS: [(&str, &str); 2] = [("fast", "delay_ms=0"), ("paced", "delay_ms=5")];

/// Sequences that each model is planned for: no request waits for another.
const PARALLEL: usize = 64;

/// A running `mainsd`; it is ended when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    folder: TempDir,
    socket: PathBuf,
    clock: ClockId,
}

impl Daemon {
    /// Starts it with all its files in a new folder in `parent`, and waits until it is ready.
    pub(crate) fn start(parent: &Path) -> Result<Self> {
        let program = Path::new(env!("CARGO_BIN_EXE_mainsd"));
        let worker = program.with_file_name("mains-null-worker");
        ensure!(
            worker.exists(),
            "{} is missing; build it: cargo build --release -p mains-null-worker",
            worker.display()
        );
        let folder = tempfile::tempdir_in(parent)?;
        let at = |name: &str| folder.path().join(name);
        let mut configuration = String::new();
        for (name, options) in MODELS {
            std::fs::write(at(name), options)?;
            configuration += &format!("[models.{name}]\npath = \"{name}\"\nparallel = {PARALLEL}\n");
        }
        std::fs::write(at("mains.toml"), configuration)?;
        let socket = at("mains.sock");
        let mut child = Command::new(program)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .arg("--serve")
            .arg("--worker")
            .arg(worker)
            .arg("--config")
            .arg(at("mains.toml"))
            .arg("--socket")
            .arg(&socket)
            .arg("--state-dir")
            .arg(at("state"))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(at("log"))?)
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.as_mut().context("the output is piped")?;
        BufReader::new(output).read_line(&mut line)?;
        let daemon = Self {
            clock: clock_getcpuclockid(Pid::from_raw(child.id().try_into()?))?,
            child,
            socket,
            folder,
        };
        ensure!(
            line.starts_with("mains: ready"),
            "mainsd did not start: {}",
            std::fs::read_to_string(daemon.folder().join("log"))?
        );
        Ok(daemon)
    }

    /// Where all its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The request socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// User and system time of all its threads so far, those that have ended included.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        Ok(self.clock.now()?.into())
    }

    /// Ends it as a service manager does.
    pub(crate) fn end(mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "mainsd ended with {status}");
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // After a failure only: one that has ended takes no harm.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
