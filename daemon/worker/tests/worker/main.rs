//! The worker as the daemon sees it: a process with a socket as descriptor 3, behind the walls of `--wall fork`.

#![expect(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

mod commands;
mod generate;
mod memory;
mod orders;
mod packed;
mod roles;
mod segments;
mod support;
mod walls;
