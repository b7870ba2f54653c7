//! `mains`: a client of the daemon's sockets.

mod args;
mod client;
mod commands;
mod exit;
mod lines;
mod output;
mod paragraph;
mod progress;
mod sending;
mod sensitivity;
mod size;
mod sockets;
mod sse;
mod stream;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::commands::{
    admin, ask, chat, devices, docs, eval, export, families, import, logs, models, plan, prepare, show,
    siblings, status, support, usage,
};
use crate::exit::Exit;
use crate::sockets::Sockets;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(exit) => exit.into(),
        // Whoever read the output has seen enough, such as `head`.
        Err(error) if is_broken_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            eprintln!("mains: {error:#}");
            exit::code_of(&error).into()
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let sockets = Sockets::find(cli.socket.as_deref());
    match cli.command {
        Command::Chat(args) => chat::run(&sockets.request, &args).await,
        Command::Ask(args) => ask::run(&sockets.request, &args).await,
        Command::Devices(args) => devices::run(&sockets, &args).await,
        Command::Models(args) => models::run(sockets.widest().await, args.json).await,
        Command::Import(args) => import::run(&sockets.admin, &args).await,
        Command::Show(args) => show::run(sockets.widest().await, &args.model, args.json).await,
        Command::Export(args) => export::run(&sockets.admin, &args).await,
        Command::Rm(args) => models::remove(&sockets.admin, &args).await,
        Command::Families(args) => families::run(args.json),
        Command::Plan(args) => plan::run(sockets.widest().await, &args).await,
        Command::Prepare(args) => prepare::run(&sockets.admin, &args).await,
        Command::Usage(args) => usage::run(&sockets, &args).await,
        Command::Status(args) => status::run(sockets.widest().await, args.json).await,
        Command::Logs(args) => logs::run(&sockets.admin, &args).await,
        Command::CheckConfig(args) => siblings::check_config(&args),
        Command::Serve(args) => siblings::serve(cli.socket.as_deref(), &args),
        Command::Logits(args) => siblings::logits(&sockets, &args).await,
        Command::Eval(args) => eval::run(&sockets, &args).await,
        Command::Load(args) => admin::load(&sockets.admin, &args.model).await,
        Command::Unload(args) => admin::unload(&sockets.admin, &args.model).await,
        Command::Reload => admin::reload(&sockets.admin).await,
        Command::Backup(args) => admin::backup(&sockets.admin, &args.file).await,
        Command::Restore(args) => siblings::restore(&args),
        Command::SupportBundle(args) => support::run(&sockets, &args).await,
        Command::GenerateDocs { folder } => docs::generate(&folder),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
