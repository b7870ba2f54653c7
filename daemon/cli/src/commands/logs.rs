//! `mains logs`: what the daemon logged, from its own memory, or from the journal when it is down.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use http_body_util::BodyExt;
use hyper::Method;
use mains_wire::http::LogLine;

use crate::args::LogsArgs;
use crate::client::{Client, ClientError};
use crate::exit::Exit;
use crate::lines::Lines;

/// Where systemd keeps its run-time state; absent without systemd.
const SYSTEMD_RUNTIME: &str = "/run/systemd/system";

/// The installed daemon's unit file.
const UNIT_FILE: &str = "/usr/lib/systemd/system/mainsd.service";

/// Prints lines as they come.
pub(crate) async fn run(admin: &Client, args: &LogsArgs) -> anyhow::Result<Exit> {
    let path = format!("/admin/logs?lines={}&follow={}", args.lines, args.follow);
    let response = match admin.request(Method::GET, &path, None).await {
        Err(error @ ClientError::Unreachable { .. }) => return journal(args, error),
        response => response?,
    };
    let mut body = response.into_body();
    let mut lines = Lines::default();
    let mut out = std::io::stdout();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| admin.broken(&error))?;
        let Some(bytes) = frame.data_ref() else { continue };
        for line in lines.push(bytes) {
            let written = if args.json {
                writeln!(out, "{line}")
            } else {
                writeln!(out, "{}", readable(&line))
            };
            match written {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(Exit::Ok),
                written => written?,
            }
        }
    }
    Ok(Exit::Ok)
}

/// The journal's lines of the installed daemon; never returns when there is one.
fn journal(args: &LogsArgs, unreachable: ClientError) -> anyhow::Result<Exit> {
    if !Path::new(SYSTEMD_RUNTIME).exists() || !Path::new(UNIT_FILE).exists() {
        return Err(unreachable.into());
    }
    eprintln!("the daemon does not answer; its journal:");
    let mut command = Command::new("journalctl");
    command.args([
        "--unit",
        "mainsd.service",
        "--no-pager",
        "--lines",
        &args.lines.to_string(),
    ]);
    if args.follow {
        command.arg("--follow");
    }
    if args.json {
        command.args(["--output", "json"]);
    }
    Err(anyhow::Error::new(command.exec()).context("journalctl"))
}

/// A line for people: time, level, message, then the values.
fn readable(line: &str) -> String {
    let Ok(line) = serde_json::from_str::<LogLine>(line) else {
        return line.to_owned();
    };
    let mut readable = format!("{} {:5} {}", line.time, line.level, line.message);
    for (key, value) in &line.fields {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        readable.push_str(&format!(" {key}={value}"));
    }
    readable
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn people_see_time_level_message_and_fields() {
        let line = r#"{"time":"2026-11-24T08:00:00Z","level":"INFO","target":"x","message":"loaded","fields":{"model":"pilot","ms":12}}"#;
        assert_eq!(
            readable(line),
            "2026-11-24T08:00:00Z INFO  loaded model=pilot ms=12"
        );
        assert_eq!(readable("no json"), "no json");
    }
}
