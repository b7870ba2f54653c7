//! The sandboxed worker: one process, one role.
//!
//! - [`walls`] go up first, before anything is read
//! - [`serve`] speaks the frames on descriptor 3 and hands the work to one thread, whose [`inbox`] also decides whether the
//!   worker counts as alive
//! - [`roles`] do the work
//! - [`heap`] keeps no free memory, and counts what inspecting a model takes of it
//!
//! Invariants: prompts and answers are never printed; the end of the connection ends the process at once; nothing is
//! written but to descriptors that the process was given (the commands, such as `convert` and `logits`, are no roles).

mod args;
mod drivers;
mod heap;
mod inbox;
mod roles;
mod serve;
mod vocabulary;
mod walls;
mod watchdog;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use mains_wire::frames::{Role, Wall, inherited_connection};

use args::{Cli, Command, Walls};

#[global_allocator]
static HEAP: heap::Heap = heap::Heap;

fn main() -> ExitCode {
    hide_panics();
    let command = Cli::parse().command;
    let outcome = match command {
        Command::Probe(walls) => role(Role::Probe, &walls),
        Command::Inspect(walls) => role(Role::Inspect, &walls),
        Command::Run(walls) => role(Role::Run, &walls),
        Command::ConvertForDaemon(walls) => role(Role::Convert, &walls),
        Command::Convert(arguments) => roles::convert::run(arguments, &mut std::io::stdout()),
        Command::Importance(arguments) => roles::measure::run_importance(&arguments),
        Command::Measure(arguments) => roles::measure::run_measure(&arguments, &mut std::io::stdout()),
        Command::Choose(arguments) => roles::measure::run_choose(&arguments, &mut std::io::stdout()),
        Command::Eval(arguments) => roles::eval::run(&arguments, &mut std::io::stdout()),
        Command::Families => roles::families::run(&mut std::io::stdout()),
        Command::Pack(arguments) => roles::pack::run(&arguments, &mut std::io::stdout()),
        Command::Logits(arguments) => roles::logits::run(&arguments),
        Command::Tokenize(arguments) => {
            roles::tokenize::run(&arguments, std::io::stdin().lock(), &mut std::io::stdout().lock())
        }
        Command::WallsTest(asked) => return try_walls(&asked),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mains-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Panics tell where, never what: a message may quote a prompt.
fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        eprintln!("mains-worker: defect at {place}");
    }));
}

fn role(role: Role, asked: &Walls) -> Result<()> {
    let stream = inherited_connection()?;
    // What libraries print must reach the daemon's log and nothing else.
    nix::unistd::dup2_stdout(std::io::stderr()).context("directing standard output to standard error")?;
    let walls = raise(role, asked)?;
    match role {
        Role::Probe => {
            let outcome = serve::serve(role, stream, walls, roles::probe::work);
            end_at_once(outcome)
        }
        Role::Inspect => serve::serve(role, stream, walls, roles::inspect::work),
        Role::Run => {
            heap::keep_little();
            serve::serve(role, stream, walls, roles::run::work)
        }
        Role::Convert => serve::serve(role, stream, walls, roles::orders::work),
    }
}

/// Ends the process without what libraries want done at an exit: one that hangs would keep it for ever.
fn end_at_once(outcome: Result<()>) -> ! {
    if let Err(error) = &outcome {
        eprintln!("mains-worker: {error:#}");
    }
    // SAFETY: `_exit` ends the process and touches no memory of it; nothing is buffered, standard error is not.
    unsafe { libc::_exit(i32::from(outcome.is_err())) }
}

/// Builds the walls that were asked for, or finds those that are there.
fn raise(role: Role, asked: &Walls) -> Result<Vec<Wall>> {
    walls::forbid_cores().map_err(anyhow::Error::msg)?;
    if asked.wall.is_none() {
        return Ok(walls::found());
    }
    let mut readable = asked.allow_read.clone();
    if role == Role::Probe {
        readable.extend(mains_probes::Places::from_environment().given());
    }
    Ok(walls::build(&walls::Allowed {
        role,
        readable,
        memory: asked.memory_max,
    }))
}

fn try_walls(asked: &args::WallsTest) -> ExitCode {
    let built = match raise(asked.role, &asked.walls) {
        Ok(built) => built,
        Err(error) => {
            eprintln!("mains-worker: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let (report, refused) = walls::trial::run(asked);
    let mut out = std::io::stdout().lock();
    for wall in built {
        let state = wall.missing.unwrap_or_else(|| "stands".to_owned());
        let _closed = writeln!(out, "wall {}: {state}", wall.name);
    }
    let _closed = write!(out, "{report}");
    if refused {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
