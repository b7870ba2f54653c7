//! Manual pages and completions, from the same table as the parser.

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::Exit;

/// Writes `man1/*.1` and one completion file a shell into `folder`.
pub(crate) fn generate(folder: &Path) -> anyhow::Result<Exit> {
    let pages = folder.join("man1");
    fs::create_dir_all(&pages).with_context(|| pages.display().to_string())?;
    let command = Cli::command();
    page(&pages, &command, "mains")?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        page(&pages, sub, &format!("mains-{}", sub.get_name()))?;
    }
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "mains", folder)
            .with_context(|| folder.display().to_string())?;
    }
    Ok(Exit::Ok)
}

fn page(folder: &Path, command: &Command, name: &str) -> anyhow::Result<()> {
    let mut text = Vec::new();
    let owned: &'static str = name.to_owned().leak();
    clap_mangen::Man::new(command.clone().name(owned)).render(&mut text)?;
    let path = folder.join(format!("{name}.1"));
    fs::write(&path, text).with_context(|| path.display().to_string())
}
