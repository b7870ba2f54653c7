//! Commands that are another program's: found beside this one, and started in its place or asked.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use mains_wire::http::FamiliesBody;

use crate::args::{CheckConfigArgs, LogitsArgs, RestoreArgs, ServeArgs};
use crate::exit::Exit;
use crate::sockets::Sockets;

/// `mains serve`.
pub(crate) fn serve(socket: Option<&Path>, args: &ServeArgs) -> anyhow::Result<Exit> {
    let mut command = sibling("mainsd")?;
    command.arg("--serve");
    for model in &args.model {
        command.args(["--model", model]);
    }
    let options = [
        ("--socket", socket),
        ("--state-dir", args.state_dir.as_deref()),
        ("--config", args.config.as_deref()),
        ("--worker", args.worker.as_deref()),
    ];
    become_program(with_paths(command, &options))
}

/// `mains check-config`.
pub(crate) fn check_config(args: &CheckConfigArgs) -> anyhow::Result<Exit> {
    let mut command = sibling("mainsd")?;
    command.arg("--check-config");
    become_program(with_paths(command, &[("--config", args.path.as_deref())]))
}

/// `mains restore`.
pub(crate) fn restore(args: &RestoreArgs) -> anyhow::Result<Exit> {
    let command = sibling("mainsd")?;
    let options = [
        ("--restore", Some(args.file.as_path())),
        ("--state-dir", args.state_dir.as_deref()),
    ];
    become_program(with_paths(command, &options))
}

/// `mains logits`: the model is a path, or a name that the running daemon knows.
pub(crate) async fn logits(sockets: &Sockets, args: &LogitsArgs) -> anyhow::Result<Exit> {
    let path = file_of(sockets, &args.model).await?;
    let mut command = sibling("mains-worker")?;
    command.arg("logits").args(["--driver", &args.driver]);
    let options = [
        ("--model", Some(path.as_path())),
        ("--ids", Some(args.ids.as_path())),
        ("--out", Some(args.out.as_path())),
    ];
    become_program(with_paths(command, &options))
}

/// The model at a path, or of a name that the running daemon knows.
pub(super) async fn file_of(sockets: &Sockets, model: &str) -> anyhow::Result<PathBuf> {
    if Path::new(model).exists() {
        Ok(PathBuf::from(model))
    } else {
        path_of(sockets, model).await
    }
}

/// Where the daemon keeps the model called `name`.
async fn path_of(sockets: &Sockets, name: &str) -> anyhow::Result<PathBuf> {
    let client = sockets.widest().await;
    let status: serde_json::Value = client
        .get("/v1/status")
        .await
        .with_context(|| format!("{name}: no such file or folder, and no daemon that may know the name"))?;
    let models = status["models"].as_array().map(Vec::as_slice).unwrap_or_default();
    let path = models
        .iter()
        .find(|model| model["name"] == name)
        .and_then(|model| model["path"].as_str());
    match path {
        Some(path) => Ok(PathBuf::from(path)),
        None => bail!(
            "{name}: no such file or folder, and no model of the daemon; `mains models` lists its models"
        ),
    }
}

/// What `mains-worker families` says.
pub(crate) fn families() -> anyhow::Result<FamiliesBody> {
    let mut command = sibling("mains-worker")?;
    let program = command.get_program().display().to_string();
    let output = command
        .arg("families")
        .output()
        .with_context(|| program.clone())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} families: {}: {}", output.status, said.trim_end());
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{program} is of another version; install all three programs together"))
}

pub(super) fn with_paths(mut command: Command, options: &[(&str, Option<&Path>)]) -> Command {
    for (option, path) in options {
        if let Some(path) = path {
            command.arg(option).arg(path);
        }
    }
    command
}

/// The program called `name` beside this one.
pub(super) fn sibling(name: &str) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("the path of this program")?;
    let path = own.with_file_name(name);
    if !path.exists() {
        bail!(
            "{} is missing: install the three programs mains, mainsd and mains-worker together",
            path.display()
        );
    }
    Ok(Command::new(path))
}

pub(super) fn become_program(mut command: Command) -> anyhow::Result<Exit> {
    let error = command.exec();
    Err(anyhow::Error::new(error).context(format!("{}", command.get_program().display())))
}
