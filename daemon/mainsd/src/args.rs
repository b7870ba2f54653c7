//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Serves language models from this box over a Unix socket.
#[derive(Debug, Clone, Parser)]
#[command(name = "mainsd", version, about)]
pub(crate) struct Args {
    /// The configuration [default: /etc/mains/mains.toml, or $XDG_CONFIG_HOME/mains/mains.toml of an ordinary user].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Checks the configuration, says what it means and ends.
    #[arg(long, conflicts_with_all = ["serve", "restore"])]
    pub(crate) check_config: bool,

    /// Puts a backup in the place of the ledger and ends. The daemon must not run.
    #[arg(long, value_name = "BACKUP", conflicts_with = "serve")]
    pub(crate) restore: Option<PathBuf>,

    /// Runs in the foreground for the user who starts it, apart from an installed daemon.
    #[arg(long)]
    pub(crate) serve: bool,

    /// A model to serve beside those of the store; may be given several times.
    #[arg(long, value_name = "NAME=PATH", requires = "serve", value_parser = named_path)]
    pub(crate) model: Vec<(String, PathBuf)>,

    /// The request socket; admin.sock lies beside it.
    #[arg(long, value_name = "PATH", requires = "serve")]
    pub(crate) socket: Option<PathBuf>,

    /// Folder of ledger and models.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// The worker program [default: mains-worker beside this program].
    #[arg(long, value_name = "PATH", requires = "serve")]
    pub(crate) worker: Option<PathBuf>,
}

fn named_path(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            let path = std::path::absolute(path).map_err(|error| error.to_string())?;
            Ok((name.to_owned(), path))
        }
        _ => Err("write NAME=PATH, such as pilot=/models/pilot.gguf".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::Args;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn models_are_named_paths() {
        let args =
            Args::try_parse_from(["mainsd", "--serve", "--model", "a=/x", "--model", "b=/y=z"]).unwrap();
        assert_eq!(args.model[1], ("b".to_owned(), "/y=z".into()));
        assert!(Args::try_parse_from(["mainsd", "--serve", "--model", "a"]).is_err());
        assert!(Args::try_parse_from(["mainsd", "--model", "a=/x"]).is_err());
    }
}
