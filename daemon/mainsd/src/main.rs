//! The daemon: configuration, wiring, systemd.

mod args;
mod check;
mod config;
mod control;
mod hardening;
mod loader;
mod logging;
mod run;
mod sockets;
mod systemd_notify;
mod tasks;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use mains_ledger::Ledger;

use args::Args;
use config::Environment;
use loader::Loader;

fn main() -> ExitCode {
    match act(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mainsd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(args: Args) -> anyhow::Result<()> {
    hardening::harden().context("the process cannot be hardened")?;
    let check = args.check_config;
    let backup = args.restore.clone();
    let loader = Loader::new(args, Environment::of_this_process()?)?;
    match backup {
        _ if check => check::check(&loader),
        Some(backup) => restore(&loader, &backup),
        None => run::run(loader),
    }
}

fn restore(loader: &Loader, backup: &Path) -> anyhow::Result<()> {
    let ledger = loader.load()?.ledger();
    Ledger::restore(backup, &ledger)?;
    println!("{} is restored from {}", ledger.display(), backup.display());
    Ok(())
}
