//! Tries what a worker must not be able to do, and tells how each attempt ended. Behind `mains-worker walls-test`, for
//! tests of these walls and of a unit's.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::kill;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::Pid;

use crate::args::WallsTest;

/// One attempt.
struct Attempt {
    name: String,
    /// How it was refused; `Err` when it was not.
    refused: Result<String, String>,
}

/// Tries everything; gives the report, one line an attempt, and whether all was refused.
pub(crate) fn run(asked: &WallsTest) -> (String, bool) {
    let mut attempts = vec![
        attempt("internet socket", internet(AddressFamily::Inet)),
        attempt("internet socket, version 6", internet(AddressFamily::Inet6)),
        attempt("netlink socket", internet(AddressFamily::Netlink)),
        attempt("raw packets", internet(AddressFamily::Packet)),
        attempt("start a program", start_program()),
        attempt("dump a core", cores()),
    ];
    for path in &asked.unreadable {
        let opened = File::open(path).map(drop);
        attempts.push(attempt(&format!("read {}", path.display()), opened));
    }
    for folder in &asked.unwritable {
        attempts.push(attempt(
            &format!("write into {}", folder.display()),
            create_in(folder),
        ));
    }
    for device in &asked.device {
        let opened = OpenOptions::new().read(true).write(true).open(device).map(drop);
        attempts.push(attempt(&format!("open {}", device.display()), opened));
    }
    for process in &asked.signal {
        let name = format!("signal process {process}");
        attempts.push(attempt(&name, signal(*process)));
    }
    report(&attempts)
}

fn report(attempts: &[Attempt]) -> (String, bool) {
    let mut text = String::new();
    for Attempt { name, refused } in attempts {
        let (word, why) = match refused {
            Ok(why) => ("denied", why),
            Err(why) => ("ALLOWED", why),
        };
        writeln!(text, "{word} {name}: {why}").expect("writing to a string cannot fail");
    }
    (text, attempts.iter().all(|attempt| attempt.refused.is_ok()))
}

fn attempt(name: &str, outcome: Result<(), std::io::Error>) -> Attempt {
    Attempt {
        name: name.to_owned(),
        refused: match outcome {
            Ok(()) => Err("it went through".to_owned()),
            Err(error) => Ok(error.to_string()),
        },
    }
}

fn internet(family: AddressFamily) -> Result<(), std::io::Error> {
    let kind = match family {
        AddressFamily::Netlink | AddressFamily::Packet => SockType::Raw,
        _ => SockType::Stream,
    };
    Ok(socket(family, kind, SockFlag::SOCK_CLOEXEC, None).map(drop)?)
}

fn start_program() -> Result<(), std::io::Error> {
    Command::new("/bin/true").status().map(drop)
}

fn cores() -> Result<(), std::io::Error> {
    match getrlimit(Resource::RLIMIT_CORE)? {
        (0, 0) => Err(std::io::Error::other("RLIMIT_CORE is 0")),
        _ => Ok(()),
    }
}

/// Asks whether a signal could be sent, without sending one (kill(2), signal 0).
fn signal(process: i32) -> Result<(), std::io::Error> {
    match kill(Pid::from_raw(process), None) {
        // A process that does not exist proves nothing.
        Err(Errno::ESRCH) => Ok(()),
        outcome => Ok(outcome?),
    }
}

fn create_in(folder: &Path) -> Result<(), std::io::Error> {
    let path = folder.join(format!("walls-test-{}", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .map(drop)?;
    // It should not be there: leave nothing behind.
    std::fs::remove_file(&path)
}

#[cfg(test)]
mod tests {
    use super::{attempt, report};

    #[test]
    fn one_success_spoils_the_report() {
        let denied = attempt("a", Err(std::io::Error::other("no")));
        let allowed = attempt("b", Ok(()));
        let (text, all_denied) = report(&[denied, allowed]);
        assert_eq!(text, "denied a: no\nALLOWED b: it went through\n");
        assert!(!all_denied);
    }
}
