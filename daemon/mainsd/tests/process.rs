//! The daemon as a process, without a worker: starts, answers, reloads, ends.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Memory that an idle daemon without a model may have resident, as the product promises.
const IDLE_KIB: u64 = 25 * 1024;

struct Daemon {
    child: Child,
    folder: TempDir,
}

fn command(folder: &Path, state: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainsd"));
    command
        .env_remove("NOTIFY_SOCKET")
        .env_remove("JOURNAL_STREAM")
        .arg("--serve")
        .args(["--worker", "/bin/false", "--config"])
        .arg(folder.join("mains.toml"))
        .arg("--socket")
        .arg(folder.join("mains.sock"))
        .arg("--state-dir")
        .arg(folder.join(state));
    command
}

/// Starts a daemon and waits for the line that says it is ready.
fn start(config: &str) -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mains.toml"), config).unwrap();
    let mut child = command(folder.path(), "state")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("mains: ready on "), "{line}");
    Daemon { child, folder }
}

impl Daemon {
    fn send(&self, socket: &str, request: &str) -> String {
        let mut stream = UnixStream::connect(self.folder.path().join(socket)).unwrap();
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Ends it as a service manager does; what it wrote to standard error.
    fn end(mut self) -> String {
        self.signal(Signal::SIGTERM);
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        assert!(!self.folder.path().join("mains.sock").exists());
        assert!(!self.folder.path().join("admin.sock").exists());
        log
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn it_starts_answers_and_ends() {
    let daemon = start("");
    assert!(
        daemon
            .send("mains.sock", "GET /healthz")
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(
        daemon
            .send("mains.sock", "GET /readyz")
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(daemon.send("admin.sock", "GET /v1/status").contains("\"state\":"));
    assert!(
        daemon
            .send("admin.sock", "GET /admin/logs")
            .contains("\"message\":\"ready\"")
    );
    assert!(
        daemon
            .send("mains.sock", "GET /admin/logs")
            .starts_with("HTTP/1.1 404 ")
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
    // The pages of an unoptimised program say nothing about the one that ships.
    let field = if cfg!(debug_assertions) {
        "RssAnon:"
    } else {
        "VmRSS:"
    };
    let resident = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    let resident: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(resident < IDLE_KIB, "{resident} KiB are resident");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.child.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert!(daemon.end().contains("the daemon ends"));
}

#[test]
fn a_reload_changes_what_it_may_and_a_failed_one_nothing() {
    let daemon = start("[ledger]\nretention_days = 30\n");
    let path = daemon.folder.path().join("mains.toml");
    std::fs::write(&path, "[ledger]\nretention_days = 31\n").unwrap();
    let answer = daemon.send("admin.sock", "POST /admin/reload");
    assert!(answer.contains("ledger.retention_days changed"), "{answer}");
    std::fs::write(&path, "\n[daemon]\nfoo = 1\n").unwrap();
    let answer = daemon.send("admin.sock", "POST /admin/reload");
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("mains.toml:3:"),
        "{answer}"
    );
    std::fs::write(&path, "[daemon]\nworkers = \"systemd\"\n").unwrap();
    let answer = daemon.send("admin.sock", "POST /admin/reload");
    assert!(answer.contains("daemon.workers cannot change"), "{answer}");
    assert!(
        daemon
            .send("admin.sock", "GET /admin/support")
            .contains("retention_days = 31")
    );
    let log = daemon.end();
    assert!(log.contains("the old one stays"), "{log}");
}

#[test]
fn a_hang_up_reloads() {
    let daemon = start("");
    let path = daemon.folder.path().join("mains.toml");
    std::fs::write(
        &path,
        "[models.late]\npath = \"/nowhere.gguf\"\npreload = false\n",
    )
    .unwrap();
    let mut logs = UnixStream::connect(daemon.folder.path().join("admin.sock")).unwrap();
    logs.write_all(b"GET /admin/logs?follow=true HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    daemon.signal(Signal::SIGHUP);
    // A model that is not there cannot be taken; either way the reload tells of itself.
    let told = BufReader::new(logs)
        .lines()
        .map(Result::unwrap)
        .any(|line| line.contains("configuration"));
    assert!(told);
    daemon.end();
}

#[test]
fn two_daemons_never_share_a_socket_or_a_ledger() {
    let daemon = start("");
    let second = command(daemon.folder.path(), "state").output().unwrap();
    assert!(!second.status.success());
    assert!(
        text(&second).contains("another mainsd uses this ledger"),
        "{}",
        text(&second)
    );
    let third = command(daemon.folder.path(), "other").output().unwrap();
    assert!(!third.status.success());
    assert!(
        text(&third).contains("another daemon answers on this socket"),
        "{}",
        text(&third)
    );
    daemon.end();
}

#[test]
fn a_configuration_is_checked_without_a_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mains.toml");
    let check = || {
        Command::new(env!("CARGO_BIN_EXE_mainsd"))
            .args(["--check-config", "--config"])
            .arg(&path)
            .output()
            .unwrap()
    };
    std::fs::write(&path, "[teams.a]\nusers = [7]\n").unwrap();
    let good = check();
    assert!(
        good.status.success() && text(&good).contains("in order"),
        "{}",
        text(&good)
    );
    std::fs::write(&path, "[teams.a]\nusers = [\"no such user\"]\n").unwrap();
    let bad = check();
    assert!(!bad.status.success());
    assert!(
        text(&bad).contains("mains.toml:2: teams.a.users"),
        "{}",
        text(&bad)
    );
    std::fs::write(&path, "[models.a]\npath = \"gone.gguf\"\n").unwrap();
    assert!(text(&check()).contains("models.a.path"), "{}", text(&check()));
}
